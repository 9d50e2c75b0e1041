#include "triage/language.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "triage/normalise.h"
#include "triage/vocabulary.h"

enum { WORDS_LOOKED_AT = 400, WORD_MAX_BYTES = 24, FOREIGN_WORDS_MIN = 2, UNKNOWN_WORDS_MIN = 12 };

/* Words that both languages write ("am", "at", "on", "plant") and
 * what an apostrophe leaves behind ("o'r" is "or") stand in neither. */
static const char *const english_words[] = {
    "about",     "accident",   "account",     "afraid",    "after",     "again",   "against",
    "all",       "also",       "always",      "an",        "and",       "any",     "anyone",
    "anything",  "are",        "back",        "bad",       "be",        "because", "been",
    "before",    "being",      "between",     "boy",       "broke",     "broken",  "brother",
    "but",       "by",         "call",        "called",    "can",       "cant",    "card",
    "child",     "children",   "closed",      "come",      "could",     "couldnt", "crash",
    "day",       "days",       "did",         "didnt",     "do",        "doesnt",  "doing",
    "done",      "dont",       "door",        "down",      "drunk",     "during",  "each",
    "even",      "every",      "feel",        "fight",     "find",      "first",   "for",
    "found",     "free",       "friend",      "from",      "get",       "girl",    "give",
    "go",        "going",      "gonna",       "good",      "got",       "had",     "haha",
    "happened",  "happening",  "has",         "have",      "he",        "hello",   "here",
    "hers",      "hes",        "hey",         "him",       "his",       "home",    "house",
    "how",       "hurt",       "if",          "im",        "into",      "is",      "isnt",
    "it",        "its",        "ive",         "just",      "keep",      "kid",     "kids",
    "kill",      "knife",      "know",        "last",      "left",      "let",     "lets",
    "like",      "little",     "lol",         "long",      "look",      "lost",    "love",
    "made",      "make",       "many",        "may",       "maybe",     "me",      "men",
    "might",     "missing",    "money",       "more",      "most",      "much",    "mum",
    "must",      "my",         "near",        "need",      "neighbour", "never",   "new",
    "news",      "next",       "night",       "no",        "not",       "nothing", "now",
    "number",    "of",         "off",         "ok",        "okay",      "old",     "only",
    "open",      "other",      "our",         "ours",      "out",       "outside", "over",
    "park",      "part",       "people",      "phone",     "please",    "police",  "put",
    "really",    "reply",      "report",      "right",     "road",      "run",     "running",
    "said",      "saw",        "say",         "scared",    "school",    "see",     "seen",
    "send",      "shall",      "she",         "shes",      "shop",      "should",  "sister",
    "so",        "some",       "someone",     "something", "sorry",     "still",   "stolen",
    "stop",      "street",     "sure",        "take",      "tell",      "text",    "than",
    "thank",     "thanks",     "that",        "the",       "their",     "them",    "then",
    "there",     "theres",     "these",       "they",      "theyre",    "thing",   "think",
    "this",      "threatened", "threatening", "through",   "till",      "time",    "today",
    "told",      "tomorrow",   "too",         "town",      "try",       "trying",  "two",
    "under",     "until",      "up",          "update",    "us",        "very",    "wait",
    "want",      "was",        "wasnt",       "way",       "we",        "week",    "well",
    "were",      "what",       "whats",       "when",      "where",     "which",   "while",
    "who",       "why",        "will",        "win",       "with",      "woman",   "women",
    "wont",      "work",       "would",       "yeah",      "year",      "years",   "yes",
    "yesterday", "you",        "your",        "youre",     "yours",
};

static const char *const welsh_words[] = {
    "ac",        "acw",      "adref",    "aeth",    "alla",     "allan",    "alwad",   "ambiwlans",
    "anadlu",    "anafu",    "angen",    "ar",      "ateb",     "bach",     "bachgen", "baswn",
    "beth",      "ble",      "blwyddyn", "blynedd", "bod",      "bore",     "brawd",   "brifo",
    "bron",      "buasai",   "bydd",     "byddai",  "bygwth",   "cael",     "cafodd",  "cartref",
    "chi",       "chithau",  "chwaer",   "clywais", "clywed",   "coll",     "cwrw",    "cyllell",
    "cymdogion", "cymraeg",  "cymru",    "cymydog", "cyn",      "daeth",    "dda",     "ddaeth",
    "ddim",      "ddoe",     "ddrwg",    "dewch",   "dim",      "diolch",   "dod",     "dros",
    "drwg",      "drws",     "drwy",     "dw",      "dweud",    "dwi",      "dwin",    "dy",
    "dychryn",   "dydw",     "dyma",     "dyn",     "dyna",     "dynes",    "dynion",  "dywedodd",
    "efallai",   "efo",      "ei",       "eich",    "ein",      "eisiau",   "ella",    "erbyn",
    "ers",       "eto",      "eu",       "fach",    "faint",    "falle",    "farw",    "faswn",
    "fawr",      "fedra",    "fedrwch",  "ffon",    "ffonio",   "ffordd",   "ffrind",  "fi",
    "finnau",    "fo",       "fory",     "fwy",     "fy",       "fygwth",   "gael",    "gafodd",
    "gallaf",    "gallu",    "gallwch",  "galw",    "gartref",  "ges",      "goll",    "gwaed",
    "gwaith",    "gwelais",  "gweld",    "gwell",   "gwelwch",  "gwn",      "gwneud",  "gyda",
    "gyllell",   "heb",      "heddiw",   "heddlu",  "hefyd",    "helpwch",  "hithau",  "hogan",
    "hogyn",     "hon",      "honno",    "hwn",     "hwnnw",    "hwythau",  "hyd",     "hyn",
    "hynny",     "iawn",     "innau",    "isio",    "ladd",     "lladd",    "llawer",  "lle",
    "mab",       "mae",      "maen",     "maer",    "mam",      "marw",     "mawr",    "meddw",
    "meddwi",    "medru",    "menyw",    "merch",   "mewn",     "moyn",     "mwy",     "mynd",
    "nac",       "nag",      "nawr",     "neb",     "neges",    "neithiwr", "neu",     "newydd",
    "nhw",       "ni",       "nid",      "ninnau",  "nos",      "noson",    "ochr",    "oedd",
    "oeddech",   "oeddwn",   "oes",      "ofn",     "ol",       "ond",      "os",      "paid",
    "pawb",      "peidiwch", "peth",     "pethau",  "plentyn",  "plis",     "pryd",    "prynhawn",
    "pwy",       "rhif",     "rhwng",    "rhy",     "rhywbeth", "rhywun",   "roedd",   "roeddwn",
    "rwan",      "rydw",     "rydym",    "sawl",    "siwr",     "stryd",    "sut",     "sy",
    "sydd",      "syn",      "tad",      "ti",      "tu",       "ty",       "unrhyw",  "wedi",
    "wedyn",     "welais",   "weld",     "wnaeth",  "wnewch",   "wrth",     "wyf",     "wyt",
    "wythnos",   "ydi",      "ydy",      "ydych",   "ydyn",     "ydynt",    "yfory",   "yma",
    "ymosod",    "yn",       "yna",      "yntau",   "ysgol",    "yw",       "ywr",
};

/* Of languages spoken in Wales besides the two, Latin script, without accents. */
static const char *const foreign_words[] = {
    "aber",       "acum",    "adesso",   "agora",   "ahora",   "avec",     "bardzo",  "benim",
    "bicak",      "bir",     "bitte",    "che",     "cine",    "cocuk",    "cok",     "coltello",
    "copil",      "couteau", "cuchillo", "cutit",   "dabar",   "dans",     "dieta",   "donde",
    "dove",       "dziecko", "dzis",     "eine",    "elle",    "enfant",   "est",     "esta",
    "este",       "estoy",   "esu",      "faca",    "femme",   "figlio",   "filho",   "foarte",
    "gdzie",      "hadda",   "halkan",   "haus",    "hija",    "hijo",     "ich",     "icin",
    "ilmo",       "ist",     "iyo",      "jak",     "je",      "jest",     "jestem",  "jetzt",
    "jutro",      "kas",     "kde",      "kto",     "ktos",    "kur",      "labai",   "lui",
    "maintenant", "mais",    "mari",     "marido",  "marito",  "matar",    "maz",     "mea",
    "mein",       "meine",   "messer",   "meu",     "minha",   "mio",      "mnie",    "moglie",
    "moj",        "moja",    "molto",    "mucho",   "muito",   "mujer",    "mulher",  "muy",
    "nao",        "nerede",  "nicht",    "nie",     "nous",    "noz",      "nozik",   "omoare",
    "onde",       "peilis",  "pentru",   "pero",    "policia", "policija", "policja", "policje",
    "politia",    "politie", "polizei",  "polizia", "por",     "porque",   "prosze",  "que",
    "quem",       "qui",     "quien",    "quiere",  "sau",     "sehr",     "sie",     "simdi",
    "sono",       "sotia",   "sotul",    "suis",    "sunt",    "tengo",    "teraz",   "tiene",
    "tres",       "tuer",    "uccidere", "und",     "unde",    "une",      "vaikas",  "velmi",
    "voce",       "vous",    "vrea",     "waa",     "waxaan",  "wczoraj",  "wer",     "wo",
    "yra",        "zabije",  "ze",       "zona",
};

/* "Help" in those: one is enough. */
static const char *const foreign_cries[] = {
    "aide",    "aidez",    "aiutatemi", "aiuto",   "ajuda",    "ajutati",  "ajutor", "ayuda",
    "ayudame", "caawi",    "caawin",    "hilfe",   "imdat",    "padekite", "pomoc",  "pomocy",
    "pomoz",   "pomozcie", "pomozte",   "ratunku", "segitseg", "socorro",  "yardim",
};

/* How a word may begin or end. */
struct part {
    char text[5];
    uint8_t length;
};

static const struct part welsh_starts[] = { { "ll", 2 },  { "ngh", 3 }, { "mh", 2 },
                                            { "nh", 2 },  { "gwn", 3 }, { "gwr", 3 },
                                            { "gwy", 3 }, { "ddi", 3 }, { "rhy", 3 } };
static const struct part welsh_ends[] = {
    { "ydd", 3 }, { "aeth", 4 }, { "iau", 3 }, { "wch", 3 },
    { "wyd", 3 }, { "wyr", 3 },  { "ynt", 3 }, { "iaid", 4 }
};

/* Their words stand in one vocabulary, list by list: the number tells the list. */
enum word_list { LIST_ENGLISH, LIST_WELSH, LIST_FOREIGN, LIST_CRIES, LISTS };

struct language_words {
    struct vocabulary *vocabulary;
    uint32_t ends[LISTS]; /* numbers of a list are below */
};

void language_words_destroy(struct language_words **self_p)
{
    if (!*self_p)
        return;
    vocabulary_destroy(&(*self_p)->vocabulary);
    free(*self_p);
    *self_p = NULL;
}

static int add_lists(struct language_words *self)
{
    static const struct {
        const char *const *words;
        size_t count;
    } lists[LISTS] = {
        [LIST_ENGLISH] = { english_words, sizeof english_words / sizeof english_words[0] },
        [LIST_WELSH] = { welsh_words, sizeof welsh_words / sizeof welsh_words[0] },
        [LIST_FOREIGN] = { foreign_words, sizeof foreign_words / sizeof foreign_words[0] },
        [LIST_CRIES] = { foreign_cries, sizeof foreign_cries / sizeof foreign_cries[0] },
    };
    for (size_t i = 0; i < LISTS; i++) {
        for (size_t j = 0; j < lists[i].count; j++) {
            uint32_t id = 0;
            const char *word = lists[i].words[j];
            if (vocabulary_add(self->vocabulary, word, strlen(word), &id) != 0)
                return -1;
        }
        self->ends[i] = (uint32_t)vocabulary_count(self->vocabulary);
    }
    return vocabulary_seal(self->vocabulary);
}

struct language_words *language_words_new(struct error *err)
{
    struct language_words *self = calloc(1, sizeof *self);
    if (self)
        self->vocabulary = vocabulary_new(err);
    if (self && self->vocabulary && add_lists(self) == 0)
        return self;
    language_words_destroy(&self);
    (void)error_set(err, ERROR_SYSTEM, "no memory for the words of languages");
    return NULL;
}

static bool is_part(const char *at, const struct part *part)
{
    return at[0] == part->text[0] && memcmp(at, part->text, part->length) == 0;
}

static bool looks_welsh(const char *word, size_t length)
{
    enum { LETTERS_MIN = 4 };
    if (length < LETTERS_MIN)
        return false;
    for (size_t i = 0; i < sizeof welsh_starts / sizeof welsh_starts[0]; i++) {
        if (is_part(word, &welsh_starts[i]))
            return true;
    }
    for (size_t i = 0; i < sizeof welsh_ends / sizeof welsh_ends[0]; i++) {
        if (is_part(word + length - welsh_ends[i].length, &welsh_ends[i]))
            return true;
    }
    return false;
}

static void count_word(const struct language_words *self, const char *word, size_t length,
                       struct language_counts *counts)
{
    uint32_t id = 0;
    bool is_known = vocabulary_ids(self->vocabulary, word, length, &id, 1) > 0;
    counts->words++;
    if (is_known && id < self->ends[LIST_ENGLISH])
        counts->english++;
    else if ((is_known && id < self->ends[LIST_WELSH]) || looks_welsh(word, length))
        counts->welsh++;
    else if (is_known)
        counts->foreign += id < self->ends[LIST_FOREIGN] ? 1 : FOREIGN_WORDS_MIN;
}

static bool is_emoji(const char *word, size_t bytes)
{
    utf8proc_int32_t codepoint = 0;
    return (unsigned char)*word >= 0xE0 &&
           utf8proc_iterate((const utf8proc_uint8_t *)word, (utf8proc_ssize_t)bytes, &codepoint) >
               0 &&
           normalise_is_emoji(codepoint);
}

void language_count(const struct language_words *self, const char *text, size_t length,
                    struct language_counts *counts)
{
    assert(self && text && counts);
    const char *end = text + length;
    while (text < end && counts->words < WORDS_LOOKED_AT) {
        const char *space = memchr(text, ' ', (size_t)(end - text));
        size_t bytes = (size_t)((space ? space : end) - text);
        bool has_letter = bytes > 0 && (unsigned char)*text > '9' && !is_emoji(text, bytes);
        if (has_letter)
            count_word(self, text, bytes > WORD_MAX_BYTES ? WORD_MAX_BYTES : bytes, counts);
        if (!space)
            return;
        text = space + 1;
    }
}

Desg__V1__Language language_of(const struct language_counts *counts)
{
    enum { OF_ALL = 5 }; /* the lesser language has at least a fifth of the known words: mixed */
    size_t known = counts->english + counts->welsh;
    if (known == 0)
        return DESG__V1__LANGUAGE__LANGUAGE_UNSURE;
    size_t lesser = counts->english < counts->welsh ? counts->english : counts->welsh;
    if (lesser > 1 && lesser * OF_ALL >= known)
        return DESG__V1__LANGUAGE__LANGUAGE_MIXED;
    if (counts->english == counts->welsh)
        return DESG__V1__LANGUAGE__LANGUAGE_UNSURE;
    return counts->english > counts->welsh ? DESG__V1__LANGUAGE__LANGUAGE_EN
                                           : DESG__V1__LANGUAGE__LANGUAGE_CY;
}

bool language_is_foreign(const struct language_counts *counts)
{
    size_t known = counts->english + counts->welsh;
    return (counts->foreign >= FOREIGN_WORDS_MIN && counts->foreign > known) ||
           (counts->words >= UNKNOWN_WORDS_MIN && known == 0);
}
