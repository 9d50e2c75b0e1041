/* channel_meta - what the files of the Meta adapter share: channel_meta.c (handshake, signature,
 * envelope, Messenger and Instagram), channel_meta_public.c (Page feed, mentions, comments) and
 * channel_whatsapp.c (WhatsApp Cloud API). */
#ifndef DESG_INGEST_CHANNEL_META_H
#define DESG_INGEST_CHANNEL_META_H

#include "ingest/event_build.h"

/* One {field, value} of a Page or Instagram entry. Returns false if its kind is not known. */
bool meta_public_change(struct builder *builder, const json_t *change);

/* One {field, value} of a WhatsApp entry. */
void whatsapp_change(struct builder *builder, const json_t *entry, const json_t *change);

#endif
