/* desg-train --edition DATE --out FILE [--rules DIRECTORY] [--sets DIRECTORY]
 * [--set NAME=VALUE]… MESSAGES…: makes the
 * model that triage judges by and prints what cross-validation and held-out rows say of it. Exit
 * code 0: made; 1: not; 64: bad arguments. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "train/train.h"

static int usage(void)
{
    (void)fprintf(
        stderr,
        "usage: desg-train --edition 2026-11-22 --out FILE [--rules DIRECTORY] [--sets DIRECTORY] "
        "[--set NAME=VALUE]... MESSAGES...\n");
    return EX_USAGE;
}

static int run(const struct train_options *options)
{
    struct error err = { 0 };
    if (train_model(options, &err) == 0)
        return EXIT_SUCCESS;
    (void)fprintf(stderr, "desg-train: %s\n", err.text);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "edition", required_argument, NULL, 'e' }, { "out", required_argument, NULL, 'o' },
        { "rules", required_argument, NULL, 'r' },   { "sets", required_argument, NULL, 'd' },
        { "set", required_argument, NULL, 's' },     { 0 }
    };
    struct train_settings settings = train_settings_usual;
    struct train_options options = { .settings = &settings, .report = stdout };
    struct error err = { 0 };
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* it takes minutes: shows how far it is */
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 'e':
            options.date = optarg;
            break;
        case 'o':
            options.out = optarg;
            break;
        case 'r':
            options.rules_directory = optarg;
            break;
        case 'd':
            options.sets_directory = optarg;
            break;
        case 's':
            if (train_settings_set(&settings, optarg, &err) == 0)
                break;
            (void)fprintf(stderr, "desg-train: %s\n", err.text);
            return EX_USAGE;
        default:
            return usage();
        }
    }
    options.message_files = (const char *const *)argv + optind;
    options.message_file_count = (size_t)(argc - optind);
    if (!options.date || !options.out || options.message_file_count == 0)
        return usage();
    return run(&options);
}
