/* Top-level domains: all of countries, and the general ones seen in texts for the public here. From
 * the root zone (iana.org/domains/root/db, read in 2026). One that is missing makes a link count as
 * its own length. */
#include <stdlib.h>
#include <string.h>

#include "outward/points.h"

enum { WORD_BYTES = 24 };

static const char *const top_level_domains[] = {
    /* sorted */
    /* clang-format off */
    "ac", "academy", "ad", "ae", "aero", "af", "ag", "agency", "ai", "al", "am", "ao", "app",
    "aq", "ar", "army", "arpa", "art", "as", "asia", "at", "au", "auto", "autos", "aw", "ax",
    "az", "ba", "baby", "band", "bank", "bar", "bb", "bd", "be", "beauty", "best", "bet", "bf",
    "bg", "bh", "bi", "bid", "bike", "bio", "biz", "bj", "black", "blog", "blue", "bm", "bn",
    "bo", "boats", "boutique", "br", "bs", "bt", "build", "builders", "business", "buzz", "bv",
    "bw", "by", "bz", "bzh", "ca", "cab", "cafe", "cam", "camera", "camp", "capital", "car",
    "cards", "care", "career", "careers", "cars", "casa", "cash", "casino", "cat", "cc", "cd",
    "center", "ceo", "cf", "cg", "ch", "charity", "chat", "cheap", "christmas", "church", "ci",
    "city", "ck", "cl", "claims", "cleaning", "click", "clinic", "clothing", "cloud", "club",
    "cm", "cn", "co", "coach", "codes", "coffee", "college", "com", "community", "company",
    "computer", "condos", "construction", "consulting", "contact", "contractors", "cool", "coop",
    "country", "coupons", "courses", "cr", "credit", "creditcard", "cruises", "cu", "cv", "cw",
    "cx", "cy", "cymru", "cz", "dance", "date", "dating", "day", "de", "deals", "delivery",
    "democrat", "dental", "dentist", "design", "dev", "diamonds", "diet", "digital", "direct",
    "directory", "discount", "dj", "dk", "dm", "do", "doctor", "dog", "domains", "download", "dz",
    "earth", "ec", "eco", "edu", "education", "ee", "eg", "email", "energy", "engineer",
    "engineering", "enterprises", "equipment", "er", "es", "estate", "et", "eu", "eus", "events",
    "exchange", "expert", "exposed", "express", "fail", "faith", "family", "fan", "fans", "farm",
    "fashion", "fi", "film", "finance", "financial", "fish", "fishing", "fit", "fitness", "fj",
    "fk", "flights", "florist", "flowers", "fm", "fo", "football", "forsale", "foundation", "fr",
    "fun", "fund", "furniture", "futbol", "fyi", "ga", "gal", "gallery", "game", "games",
    "garden", "gb", "gd", "ge", "gf", "gg", "gh", "gi", "gift", "gifts", "gives", "gl", "glass",
    "global", "gm", "gmbh", "gn", "gold", "golf", "google", "gov", "gp", "gq", "gr", "graphics",
    "gratis", "green", "gripe", "group", "gs", "gt", "gu", "guide", "guru", "gw", "gy", "hair",
    "haus", "health", "healthcare", "help", "hiv", "hk", "hm", "hn", "hockey", "holdings",
    "holiday", "homes", "horse", "hospital", "host", "hosting", "hot", "hotels", "house", "how",
    "hr", "ht", "hu", "id", "ie", "il", "im", "immo", "in", "inc", "industries", "info", "ink",
    "institute", "insure", "int", "international", "investments", "io", "iq", "ir", "irish", "is",
    "it", "je", "jetzt", "jewelry", "jm", "jo", "jobs", "jp", "ke", "kg", "kh", "ki", "kim",
    "kitchen", "km", "kn", "kp", "kr", "kw", "ky", "kz", "la", "land", "lat", "law", "lawyer",
    "lb", "lc", "lease", "legal", "li", "life", "lighting", "limited", "limo", "link", "live",
    "lk", "loan", "loans", "lol", "london", "love", "lr", "ls", "lt", "ltd", "ltda", "lu",
    "luxury", "lv", "ly", "ma", "maison", "makeup", "management", "map", "market", "marketing",
    "markets", "mba", "mc", "md", "me", "media", "memorial", "men", "menu", "mg", "mh", "miami",
    "mil", "mk", "ml", "mm", "mn", "mo", "mobi", "moe", "mom", "money", "monster", "mortgage",
    "moscow", "moto", "motorcycles", "mov", "movie", "mp", "mq", "mr", "ms", "mt", "mu", "museum",
    "mv", "mw", "mx", "my", "mz", "na", "name", "navy", "nc", "ne", "net", "network", "new",
    "news", "nf", "ng", "ngo", "ni", "ninja", "nl", "no", "now", "np", "nr", "nrw", "nu", "nyc",
    "nz", "observer", "om", "one", "ong", "online", "org", "organic", "pa", "page", "paris",
    "park", "parking", "partners", "parts", "party", "pe", "pet", "pf", "pg", "ph", "phd",
    "photo", "photography", "photos", "pics", "pictures", "pink", "pizza", "pk", "pl", "place",
    "plumbing", "plus", "pm", "pn", "poker", "post", "pr", "press", "pro", "productions", "prof",
    "properties", "property", "protection", "ps", "pt", "pub", "pw", "py", "qa", "quest",
    "racing", "radio", "re", "realestate", "realtor", "recipes", "red", "rehab", "reise",
    "reisen", "rent", "rentals", "repair", "report", "republican", "rest", "restaurant", "review",
    "reviews", "rich", "rip", "ro", "rocks", "rodeo", "rs", "ru", "rugby", "run", "rw", "sa",
    "sale", "salon", "sarl", "save", "sb", "sc", "school", "schule", "science", "scot", "sd",
    "se", "security", "services", "sex", "sexy", "sg", "sh", "shoes", "shop", "shopping", "show",
    "si", "singles", "site", "sj", "sk", "ski", "sl", "sm", "sn", "so", "soccer", "social",
    "software", "solar", "solutions", "space", "sport", "sr", "ss", "st", "store", "stream",
    "studio", "study", "style", "su", "sucks", "supplies", "supply", "support", "surf", "surgery",
    "sv", "swiss", "sx", "sy", "systems", "sz", "taipei", "tattoo", "tax", "taxi", "tc", "td",
    "team", "tech", "technology", "tel", "tennis", "tf", "tg", "th", "theater", "theatre",
    "tickets", "tienda", "tips", "tires", "tj", "tk", "tl", "tm", "tn", "to", "today", "tokyo",
    "tools", "top", "tours", "town", "toys", "tr", "trade", "trading", "training", "travel", "tt",
    "tube", "tv", "tw", "tz", "ua", "ug", "uk", "university", "uno", "us", "uy", "uz", "va",
    "vacations", "vc", "ve", "ventures", "vet", "vg", "vi", "viajes", "video", "villas", "vin",
    "vip", "vision", "vn", "vodka", "vote", "voting", "voyage", "vu", "wales", "watch", "weather",
    "webcam", "website", "wedding", "wf", "wiki", "win", "wine", "work", "works", "world", "ws",
    "wtf", "xxx", "xyz", "yachts", "ye", "yoga", "yt", "za", "zip", "zm", "zone", "zw",
    /* clang-format on */
};

static int compare(const void *word, const void *entry)
{
    return strcmp(word, *(const char *const *)entry);
}

bool is_top_level_domain(const char *word, size_t length)
{
    char folded[WORD_BYTES];
    if (length >= sizeof folded)
        return false;
    if (length > 4 && strncasecmp(word, "xn--", 4) == 0)
        return true; /* one in another script, as it goes over the wire */
    for (size_t i = 0; i < length; i++)
        folded[i] = (char)(word[i] >= 'A' && word[i] <= 'Z' ? word[i] - 'A' + 'a' : word[i]);
    folded[length] = '\0';
    return bsearch(folded, top_level_domains,
                   sizeof top_level_domains / sizeof top_level_domains[0],
                   sizeof top_level_domains[0], compare) != NULL;
}
