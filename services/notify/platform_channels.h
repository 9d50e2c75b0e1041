/* platform_channels - every platform there is, one file each; platform.c lists them. */
#ifndef DESG_NOTIFY_PLATFORM_CHANNELS_H
#define DESG_NOTIFY_PLATFORM_CHANNELS_H

#include "notify/platform.h"

extern const struct platform platform_facebook;
extern const struct platform platform_instagram;
extern const struct platform platform_whatsapp;
extern const struct platform platform_x;
extern const struct platform platform_web;
extern const struct platform platform_page;
extern const struct platform platform_x_post;
extern const struct platform platform_mastodon;
extern const struct platform platform_webhook;

#endif
