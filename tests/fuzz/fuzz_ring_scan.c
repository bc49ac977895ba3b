/*
 * The scanner that recovers a slab, on any bytes. The input is a list of commands that lays records out
 * in a slab, right and wrong ones, so that it gets past the hashes.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/ring/scan.h"

#define SLAB (64u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t slab[SLAB];

static ssize_t memory_read(void *user, int fd, void *buf, size_t n, uint64_t offset)
{
    if (offset >= SLAB)
        return 0;
    n = n < SLAB - offset ? n : (size_t)(SLAB - offset);
    memcpy(buf, slab + offset, n);
    return (ssize_t)n;
}

/* 16 bytes of input: one record. Returns where the next one would go. */
static uint32_t lay(const uint8_t *c, uint32_t at, struct kt_header *h)
{
    uint8_t bytes[KT_HEADER_SIZE];
    at = c[0] & 1 ? (uint32_t)kt_page_up(at) : at;
    if (c[0] & 2)
        at = (uint32_t)(c[1] | c[2] << 8) & ~7u;
    if (c[0] & 4) {
        h->commit += c[3];
        h->commit_offset = at;
    }
    h->type = (uint16_t)(1 + c[4] % 8);
    h->seq += c[0] & 8 ? c[5] : 1;
    h->slab_seq = c[0] & 16 ? c[6] : 7;
    h->size = (uint32_t)(c[7] | c[8] << 8) * (c[0] & 32 ? 300 : 1);
    if (at + KT_HEADER_SIZE > SLAB)
        return 0;
    if (at + kt_record_space(h->size) <= SLAB)
        kt_sha256(h->payload, slab + at + KT_HEADER_SIZE, h->size);
    memcpy(h->prev, h->hash, KT_HASH_SIZE);
    kt_header_encode(bytes, h);
    bytes[c[9]] ^= c[0] & 64 ? c[10] : 0;
    memcpy(slab + at, bytes, sizeof(bytes));
    return at + (uint32_t)(kt_record_space(h->size) % SLAB);
}

static void scan(bool payloads, bool bounded, uint64_t max_seq)
{
    struct kt_ring_io io = kt_ring_io_system;
    io.pread = memory_read;
    struct kt_scan s = { .io = &io, .slab_bytes = SLAB, .payloads = payloads, .bounded = bounded,
                         .max_seq = max_seq };
    if (kt_scan_slab(&s) == 0) {
        for (size_t i = 0; i < s.n; i++) {
            if (s.items[i].offset >= SLAB || (bounded && s.items[i].h.seq > max_seq))
                abort();
            if (i > 0 && s.items[i].state != KT_SCAN_HOLE && s.items[i - 1].state != KT_SCAN_HOLE &&
                s.items[i].h.seq <= s.items[i - 1].h.seq)
                abort();
        }
        if (s.end % KT_PAGE != 0 || (s.n > 0 && s.end <= s.items[s.n - 1].offset))
            abort();
    }
    kt_scan_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_header h = { .commit = 1 };
    uint32_t at = 0;
    memset(slab, 0, sizeof(slab));
    for (size_t i = 0; i + 16 <= size && i < 16 * 64; i += 16)
        at = lay(data + i, at, &h);
    scan(false, false, 0);
    scan(true, false, 0);
    scan(true, true, h.seq / 2);
    return 0;
}
