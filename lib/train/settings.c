#include "train/settings.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

const struct train_settings train_settings_usual = {
    .urgent_bits = 18,
    .topic_bits = 16,
    .language_bits = 16,
    .urgent_c = 2,
    .topic_c = 10,
    .restricted_c = 20,
    .language_c = 10,
    .urgent_rare = 1,
    .topic_rare = 1,
    .restricted_rare = 0.3,
    .language_rare = 1.5,
    .topic_positive = 1,
    .urgent_positive = 1,
    .restricted_positive = 2,
    .desk_times = 2,
    .template_times = 1,
    .direct_times = 12,
    .help_times = 1,
    .chat_times = 2,
    .welsh_times = 12,
    .noise_times = 1,
    .chat_alarms = 0.013,
    .bank_alarms = 0.008,
    .welsh_alarms = 0.0055,
    .desk_alarms = 0.1,
    .urgent_precision = 0.9,
};

struct entry {
    const char *name;
    size_t offset;
    bool is_whole;
    double least;
    double most;
};

#define NUMBER(member, least, most)                                                                \
    {                                                                                              \
#member, offsetof(struct train_settings, member), false, least, most                       \
    }
#define WHOLE(member, least, most)                                                                 \
    {                                                                                              \
#member, offsetof(struct train_settings, member), true, least, most                        \
    }

static const struct entry entries[] = {
    WHOLE(urgent_bits, 4, 20),          WHOLE(topic_bits, 4, 20),
    WHOLE(language_bits, 4, 20),        NUMBER(urgent_c, 1e-4, 1e4),
    NUMBER(topic_c, 1e-4, 1e4),         NUMBER(restricted_c, 1e-4, 1e4),
    NUMBER(language_c, 1e-4, 1e4),      NUMBER(urgent_rare, 0, 4),
    NUMBER(topic_rare, 0, 4),           NUMBER(restricted_rare, 0, 4),
    NUMBER(language_rare, 0, 4),        NUMBER(topic_positive, 1e-2, 1e2),
    NUMBER(urgent_positive, 1e-2, 1e2), NUMBER(restricted_positive, 1e-2, 1e2),
    WHOLE(desk_times, 1, 20),           WHOLE(template_times, 0, 20),
    WHOLE(direct_times, 0, 20),         WHOLE(help_times, 0, 20),
    WHOLE(chat_times, 0, 20),           WHOLE(welsh_times, 0, 20),
    WHOLE(noise_times, 0, 20),          NUMBER(chat_alarms, 0, 1),
    NUMBER(bank_alarms, 0, 1),          NUMBER(welsh_alarms, 0, 1),
    NUMBER(desk_alarms, 0, 1),          NUMBER(urgent_precision, 0, 1),
};

enum { ENTRIES = sizeof entries / sizeof entries[0] };

const char *train_settings_name(size_t index)
{
    return index < ENTRIES ? entries[index].name : NULL;
}

double train_settings_value(const struct train_settings *self, size_t index)
{
    const char *at = (const char *)self + entries[index].offset;
    if (!entries[index].is_whole) {
        double value;
        memcpy(&value, at, sizeof value);
        return value;
    }
    unsigned whole;
    memcpy(&whole, at, sizeof whole);
    return whole;
}

static void put(struct train_settings *self, const struct entry *entry, double value)
{
    char *at = (char *)self + entry->offset;
    unsigned whole = (unsigned)value;
    if (entry->is_whole)
        memcpy(at, &whole, sizeof whole);
    else
        memcpy(at, &value, sizeof value);
}

int train_settings_set(struct train_settings *self, const char *assignment, struct error *err)
{
    const char *equals = strchr(assignment, '=');
    size_t length = equals ? (size_t)(equals - assignment) : strlen(assignment);
    for (size_t i = 0; equals && i < ENTRIES; i++) {
        const struct entry *entry = &entries[i];
        if (strlen(entry->name) != length || strncmp(entry->name, assignment, length) != 0)
            continue;
        char *end = NULL;
        double value = strtod(equals + 1, &end);
        bool is_number = end != equals + 1 && *end == '\0' && value >= entry->least &&
                         value <= entry->most && !(entry->is_whole && value != floor(value));
        if (!is_number)
            return error_set(err, ERROR_INVALID, "%s is %s%g to %g, not '%s'", entry->name,
                             entry->is_whole ? "a whole number, " : "", entry->least, entry->most,
                             equals + 1);
        put(self, entry, value);
        return 0;
    }
    return error_set(err, ERROR_INVALID, "no setting '%s': write name=value, such as urgent_c=8",
                     assignment);
}
