#include "notify/platform.h"

#include <string.h>

#include "notify/platform_channels.h"

static const struct {
    const char *channel;
    const struct platform *platform;
} channels[] = {
    { "facebook", &platform_facebook }, { "instagram", &platform_instagram },
    { "whatsapp", &platform_whatsapp }, { "x", &platform_x },
    { "web", &platform_web },
};

static const struct {
    const char *kind; /* as outlets have it in the configuration */
    const struct platform *platform;
} outlets[] = {
    { "facebook", &platform_page },
    { "x", &platform_x_post },
    { "mastodon", &platform_mastodon },
    { "webhook", &platform_webhook },
};

const struct platform *platform_for_channel(const char *channel)
{
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++)
        if (strcmp(channels[i].channel, channel) == 0)
            return channels[i].platform;
    return NULL;
}

const struct platform *platform_for_outlet(const char *kind)
{
    for (size_t i = 0; i < sizeof outlets / sizeof outlets[0]; i++)
        if (strcmp(outlets[i].kind, kind) == 0)
            return outlets[i].platform;
    return NULL;
}
