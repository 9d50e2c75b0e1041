/* Runs a fuzzer's entry point over every file of its corpus folders, for builds without libFuzzer.
 */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    enum { LIMIT = 8 << 20 };
    uint8_t *data = malloc(LIMIT);
    size_t size = data ? fread(data, 1, LIMIT, file) : 0;
    (void)fclose(file);
    if (data)
        (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    return data ? 0 : -1;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (!folder) {
            (void)fprintf(stderr, "%s: cannot open the corpus folder\n", argv[i]);
            return 1;
        }
        for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
            char path[4096];
            if (entry->d_name[0] == '.')
                continue;
            (void)snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            if (replay_file(path) != 0) {
                (void)fprintf(stderr, "%s: cannot read\n", path);
                (void)closedir(folder);
                return 1;
            }
            count++;
        }
        (void)closedir(folder);
    }
    (void)printf("%d inputs replayed\n", count);
    return count > 0 ? 0 : 1;
}
