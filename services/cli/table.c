#include "cli/table.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { COLUMNS_MAX = 16 };

void table_format_duration(int64_t ms, char *out)
{
    const char *sign = ms < 0 ? "-" : "";
    long long seconds = (ms < 0 ? -ms : ms) / 1000;
    if (seconds < 120)
        (void)snprintf(out, TABLE_CELL_BYTES, "%s%llds", sign, seconds);
    else if (seconds < 7200)
        (void)snprintf(out, TABLE_CELL_BYTES, "%s%lldm", sign, seconds / 60);
    else if (seconds < 172800)
        (void)snprintf(out, TABLE_CELL_BYTES, "%s%lldh%02lldm", sign, seconds / 3600,
                       seconds / 60 % 60);
    else
        (void)snprintf(out, TABLE_CELL_BYTES, "%s%lldd", sign, seconds / 86400);
}

void table_format_time(int64_t unix_ms, char *out)
{
    time_t when = (time_t)(unix_ms / 1000);
    struct tm local = { 0 };
    if (unix_ms <= 0 || !localtime_r(&when, &local))
        (void)snprintf(out, TABLE_CELL_BYTES, "-");
    else
        (void)strftime(out, TABLE_CELL_BYTES, "%Y-%m-%d %H:%M:%S", &local);
}

const char *table_severity(int64_t number)
{
    static const char *const names[] = { "-",      "routine", "attention",
                                         "review", "urgent",  "LIFE AT RISK" };
    return number >= 0 && number < (int64_t)(sizeof names / sizeof names[0]) ? names[number] : "?";
}

static bool is_control(const unsigned char *at)
{
    return *at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0);
}

static void copy_clean(const char *text, char *out)
{
    size_t used = 0;
    for (const unsigned char *at = (const unsigned char *)text; *at && used < TABLE_CELL_BYTES - 1;
         at++)
        out[used++] = (char)(is_control(at) ? '.' : *at);
    out[used] = '\0';
}

static void format_cell(const json_t *row, const struct column *column, char *out)
{
    const json_t *value = json_object_get(row, column->key);
    int64_t number = json_is_string(value) ? 0 : (int64_t)json_number_value(value);
    out[0] = '\0';
    switch (column->kind) {
    case COLUMN_TEXT:
        if (json_is_string(value))
            copy_clean(json_string_value(value), out);
        else if (json_is_number(value))
            (void)snprintf(out, TABLE_CELL_BYTES, "%lld", (long long)number);
        break;
    case COLUMN_NUMBER:
        (void)snprintf(out, TABLE_CELL_BYTES, "%lld", (long long)number);
        break;
    case COLUMN_DURATION:
        table_format_duration(number, out);
        break;
    case COLUMN_TIME:
        table_format_time(number, out);
        break;
    case COLUMN_SEVERITY:
        (void)snprintf(out, TABLE_CELL_BYTES, "%s",
                       json_is_string(value) ? json_string_value(value) : table_severity(number));
        break;
    case COLUMN_YES:
        (void)snprintf(out, TABLE_CELL_BYTES, "%s", json_is_true(value) ? "yes" : "");
        break;
    }
}

static int width_of(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width +=
            ((unsigned char)*text & 0xc0) != 0x80; /* code points: near enough for ids and names */
    return width;
}

static void print_cell(const char *text, int width, bool is_right, bool is_last)
{
    int pad = width - width_of(text);
    if (is_last && !is_right)
        pad = 0;
    (void)printf("%*s%s%*s%s", is_right && pad > 0 ? pad : 0, "", text,
                 !is_right && pad > 0 ? pad : 0, "", is_last ? "\n" : "  ");
}

static bool is_right(const struct column *column)
{
    return column->kind == COLUMN_NUMBER || column->kind == COLUMN_DURATION;
}

void table_print(const json_t *rows, const struct column *columns)
{
    int widths[COLUMNS_MAX] = { 0 };
    size_t count = 0;
    char cell[TABLE_CELL_BYTES];
    size_t index;
    const json_t *row;
    while (count < COLUMNS_MAX && columns[count].key) {
        widths[count] = width_of(columns[count].title);
        json_array_foreach(rows, index, row)
        {
            format_cell(row, &columns[count], cell);
            int width = width_of(cell);
            widths[count] = width > widths[count] ? width : widths[count];
        }
        count++;
    }
    for (size_t c = 0; c < count; c++)
        print_cell(columns[c].title, widths[c], is_right(&columns[c]), c + 1 == count);
    json_array_foreach(rows, index, row) for (size_t c = 0; c < count; c++)
    {
        format_cell(row, &columns[c], cell);
        print_cell(cell, widths[c], is_right(&columns[c]), c + 1 == count);
    }
}

void table_print_text(const char *text, int indent)
{
    (void)printf("%*s", indent, "");
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '\n')
            (void)printf("\n%*s", indent, "");
        else
            (void)putchar(is_control(at) ? '.' : *at);
    }
    (void)putchar('\n');
}
