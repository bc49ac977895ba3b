/* package_paper.c - what people read: how to check, who had it, the page to sign. */
#include <qrencode.h>
#include <stdarg.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/vault/package_private.h"

/* ------------------------------ text and HTML ------------------------------ */

struct page {
    FILE *out;
    char *text;
    size_t size;
};

static bool begin(struct page *page)
{
    *page = (struct page){ 0 };
    page->out = open_memstream(&page->text, &page->size);
    return page->out;
}

static char *end(struct page *page)
{
    if (fclose(page->out) == 0)
        return page->text;
    free(page->text);
    return NULL;
}

/* TEXT where HTML stands. */
static void put_html(FILE *out, const char *text)
{
    for (; text && *text; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}

static void row(FILE *out, const char *label, const char *value)
{
    fprintf(out, "<tr><th>%s</th><td>", label);
    put_html(out, value && value[0] ? value : "–");
    fputs("</td></tr>\n", out);
}

/* One field of a CSV row; never one that a spreadsheet takes for a formula. */
static void put_csv(FILE *out, const char *text)
{
    fputc('"', out);
    if (text && strchr("=+-@\t", text[0]) && text[0])
        fputc('\'', out);
    for (; text && *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
    fputc('"', out);
}

/* ------------------------------ BACA-SAYA.txt, README.txt ------------------------------ */

/* The commands a stranger types: the same in both languages, and run by our tests. */
static void put_commands(FILE *out)
{
    fputs("    $ grep -q \"\\\"package\\\": \\\"$(basename \"$PWD\")\\\"\" manifest.json\n"
          "    $ sha256sum -c --strict --quiet SHA256SUMS\n"
          "    $ test \"$(find . -type f ! -name 'SHA256SUMS*' | wc -l)\" -eq \"$(wc -l < SHA256SUMS)\"\n"
          "    $ openssl dgst -sha256 -verify signer-pub.pem -signature SHA256SUMS.sig SHA256SUMS\n"
          "    $ openssl dgst -sha256 -verify signer-pub.pem -signature manifest.json.sig manifest.json\n"
          "    $ openssl pkey -pubin -in signer-pub.pem -outform DER | sha256sum | grep -i \"$KEY\"\n"
          "    $ sha256sum manifest.json | grep -i \"$MANIFEST\"\n"
          "    $ for h in $(find log -name '*.head'); do openssl dgst -sha256 -verify \"${h%.head}.ring.pem\""
          " -signature \"$h.sig\" \"$h\" || exit 1; done\n"
          "    $ test ! -e SHA256SUMS.tsr || openssl ts -verify -data SHA256SUMS -in SHA256SUMS.tsr"
          " -CAfile tsa-ca.pem\n", out);
}

static void put_readme_id(FILE *out, const struct kt_package *p)
{
    fprintf(out, "PAKET BUKTI %s\n\n"
        "Isi: rekaman asli kamera (clip-*.mp4, tidak diubah, tidak dikodekan ulang), keterangan lengkap\n"
        "(manifest.json), berita acara untuk dicetak dan ditandatangani (BERITA-ACARA.html), dan tanda\n"
        "tangan elektronik. Video dapat diputar dengan pemutar biasa (VLC, Windows, telepon).\n\n"
        "CARA MEMERIKSA BAHWA TIDAK ADA YANG DIUBAH\n\n"
        "Siapkan lembar berita acara yang dicetak saat penyerahan. Di sana ada dua angka:\n"
        "sidik jari kunci dan sidik jari manifes. Percayalah pada kertas itu, bukan pada file ini.\n\n"
        "Windows (Command Prompt, di dalam folder ini), untuk setiap file:\n\n"
        "    certutil -hashfile NAMA-FILE SHA256\n\n"
        "lalu cocokkan dengan baris NAMA-FILE di SHA256SUMS; untuk manifest.json cocokkan juga dengan kertas.\n\n"
        "Linux atau macOS (Terminal, di dalam folder ini). KEY dan MANIFEST: ketik dari kertas.\n\n"
        "    KEY=...  MANIFEST=...\n", p->name);
    put_commands(out);
    fputs("\nSetiap perintah harus berhasil: \"Verified OK\", tanpa \"FAILED\", dan angka yang tampil harus\n"
          "sama dengan kertas. Dua perintah terakhir memeriksa tanda tangan perekam atas catatannya sendiri\n"
          "pada saat merekam (log/*.head), dan cap waktu (RFC 3161) bila ada: \"Verification: OK\". Lebih baik\n"
          "ganti tsa-ca.pem dengan sertifikat yang diambil sendiri dari penyedia cap waktu. Bila sertifikatnya\n"
          "sudah kedaluwarsa, tambahkan -attime DETIK (waktu cap itu, detik sejak 1970).\n\n"
          "Bila program kentongan terpasang: kentongan verify FOLDER-ATAU-ZIP\n\n"
          "Isi video saja (tetap sama walau dikemas ulang), cocokkan dengan \"stream_hash\":\n\n"
          "    ffmpeg -i FILE.mp4 -map 0:v -c copy -f streamhash -hash sha256 -\n\n"
          "BATASNYA\n\n"
          "Tanda tangan menunjukkan bahwa paket ini keluar dari perekam yang memegang kunci itu dan tidak\n"
          "berubah sejak itu. Pemilik perekam memegang kuncinya: karena itu sidik jari kunci sebaiknya\n"
          "dicatat pihak lain jauh sebelum kejadian. Klip mulai pada bingkai kunci sebelum waktu yang\n"
          "diminta; selisihnya tertulis di manifest.json (\"starts_before_request_s\").\n"
          "Jangan mengubah atau menamai ulang file di sini. Untuk mengolah, buat salinan.\n", out);
}

static void put_readme_en(FILE *out, const struct kt_package *p)
{
    fprintf(out, "EVIDENCE PACKAGE %s\n\n"
        "Inside: the cameras' original recordings (clip-*.mp4, unaltered, never transcoded), a full\n"
        "description (manifest.json), a report to print and sign (BERITA-ACARA.html), and electronic\n"
        "signatures. The video plays in any ordinary player.\n\n"
        "HOW TO CHECK THAT NOTHING WAS CHANGED\n\n"
        "Have the report at hand that was printed when this was handed over. It shows two numbers:\n"
        "the fingerprint of the key and that of the manifest. Trust that paper, not this file.\n\n"
        "Windows (Command Prompt, inside this folder), for each file:\n\n"
        "    certutil -hashfile FILE-NAME SHA256\n\n"
        "and compare with the line of FILE-NAME in SHA256SUMS; for manifest.json with the paper, too.\n\n"
        "Linux or macOS (Terminal, inside this folder). KEY and MANIFEST: type them from the paper.\n\n"
        "    KEY=...  MANIFEST=...\n", p->name);
    put_commands(out);
    fputs("\nEach command must succeed: \"Verified OK\", no \"FAILED\", and the numbers shown must be those on the\n"
          "paper. The last two check the recorder's signature of its own log when it recorded (log/*.head), and\n"
          "the time stamp (RFC 3161) if there is one: \"Verification: OK\". Better replace tsa-ca.pem by the\n"
          "certificate that you got from the service yourself. Where it has run out since, add -attime SECONDS\n"
          "(the time of the stamp, seconds since 1970).\n\n"
          "Where the program kentongan is installed: kentongan verify FOLDER-OR-ZIP\n\n"
          "The coded video alone (the same even when repackaged), compare with \"stream_hash\":\n\n"
          "    ffmpeg -i FILE.mp4 -map 0:v -c copy -f streamhash -hash sha256 -\n\n"
          "WHAT THIS DOES NOT PROVE\n\n"
          "The signature shows that this package left the recorder that holds the key, and has not\n"
          "changed since. Who owns the recorder holds the key: so somebody else should have noted its\n"
          "fingerprint long before. Clips start at the key frame before the time that was asked for;\n"
          "manifest.json says how much (\"starts_before_request_s\").\n"
          "Do not change or rename files here. Work on a copy.\n", out);
}

char *kt_package_readme(const struct kt_package *p, bool indonesian)
{
    struct page page;
    if (!begin(&page))
        return NULL;
    if (indonesian)
        put_readme_id(page.out, p);
    else
        put_readme_en(page.out, p);
    return end(&page);
}

/* ------------------------------ custody.csv ------------------------------ */

char *kt_package_custody(const struct kt_package *p)
{
    struct page page;
    char when[KT_RFC3339_SIZE];
    if (!begin(&page))
        return NULL;
    kt_rfc3339_format(when, p->now_us);
    fputs("time_utc,who,action,from,to,note\n", page.out);
    fprintf(page.out, "%s,", when);
    put_csv(page.out, p->params->exported_by);
    fputs(",\"export\",", page.out);
    put_csv(page.out, p->params->host);
    fputc(',', page.out);
    put_csv(page.out, p->name);
    fputs(",\"made from held recordings; later hands are written on the printed report\"\n", page.out);
    return end(&page);
}

/* ------------------------------ BERITA-ACARA.html ------------------------------ */

static void put_qr(FILE *out, const char *text)
{
    QRcode *qr = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
    if (!qr)
        return;
    fprintf(out, "<svg class=\"qr\" viewBox=\"-4 -4 %d %d\" role=\"img\" aria-label=\"QR\">"
                 "<path fill=\"#000\" d=\"", qr->width + 8, qr->width + 8);
    for (int y = 0; y < qr->width; y++)
        for (int x = 0; x < qr->width; x++)
            if (qr->data[y * qr->width + x] & 1)
                fprintf(out, "M%d %dh1v1h-1z", x, y);
    fputs("\"/></svg>\n", out);
    QRcode_free(qr);
}

/* The site's time as people read it, "2026-11-29 23:32:15.787+07:00": a line may end after the date. */
static void paper_time(const struct kt_package *p, int64_t us, char out[64])
{
    kt_package_local(us, p->params->zone_offset_s, out, 64);
    char *t = strchr(out, 'T');
    if (t)
        *t = ' ';
}

static void put_clips(FILE *out, const struct kt_package *p)
{
    fputs("<table class=\"clips\"><tr><th>Kamera / Camera</th><th>Dari / From</th><th>Sampai / To</th>"
          "<th>Bingkai / Frames</th><th>SHA-256</th></tr>\n", out);
    for (size_t i = 0; i < p->n_clips; i++) {
        const struct kt_package_clip *clip = &p->clips[i];
        char from[64], to[64];
        paper_time(p, clip->file->start_us, from);
        paper_time(p, clip->file->end_us, to);
        fputs("<tr><td>", out);
        put_html(out, clip->camera->name && clip->camera->name[0] ? clip->camera->name : clip->camera->id);
        fprintf(out, "</td><td>%s</td><td>%s</td><td>%u</td><td><code>%.16s…</code></td></tr>\n", from, to,
                clip->file->frames, clip->file->sha256);
    }
    fputs("</table>\n", out);
}

/* A text member of the request, NULL when there is none. */
static const char *member(const json_t *request, const char *key)
{
    return json_string_value(json_object_get(request, key));
}

static void put_facts(FILE *out, const struct kt_package *p)
{
    const struct kt_package_params *x = p->params;
    json_t *request = x->request ? json_loads(x->request, 0, NULL) : NULL;
    char text[160], from[64], to[64];
    fputs("<table>\n", out);
    row(out, "Paket / Package", p->name);
    paper_time(p, p->now_us, from);
    snprintf(text, sizeof(text), "%s %s", from, x->zone ? x->zone : "");
    row(out, "Dibuat / Made", text);
    row(out, "Oleh / By", x->exported_by);
    row(out, "Lokasi / Site", x->site);
    row(out, "Kejadian / Incident", x->incident->title);
    paper_time(p, x->incident->from_us, from);
    paper_time(p, x->incident->to_us, to);
    snprintf(text, sizeof(text), "%s – %s", from, to);
    row(out, "Rentang / Span", text);
    row(out, "Instansi / Agency", member(request, "agency"));
    snprintf(text, sizeof(text), "%s %s", member(request, "officer") ? member(request, "officer") : "–",
             member(request, "officer_id") ? member(request, "officer_id") : "");
    row(out, "Petugas, NRP / Officer", text);
    snprintf(text, sizeof(text), "%s %s", member(request, "letter") ? member(request, "letter") : "–",
             member(request, "letter_date") ? member(request, "letter_date") : "");
    row(out, "Surat permintaan / Letter", text);
    row(out, "Laporan polisi / Police report", member(request, "report"));
    row(out, "Keperluan / Purpose", member(request, "purpose"));
    row(out, "Jam perekam / Recorder's clock", kt_clock_synchronised(NULL)
        ? "tersinkron / synchronised" : "TIDAK tersinkron / NOT synchronised");
    fputs("</table>\n", out);
    json_decref(request);
}

static const char head[] =
    "<!doctype html>\n<html lang=\"id\"><head><meta charset=\"utf-8\"><title>Berita acara</title><style>\n"
    "@page{size:A4;margin:14mm}body{font:10.5pt/1.35 sans-serif;max-width:180mm;margin:auto;color:#000}\n"
    "h1{font-size:14pt;text-align:center;margin:0 0 2mm}p{margin:1.5mm 0}table{border-collapse:collapse;width:100%;"
    "margin:2mm 0}\nth,td{border:1px solid #666;padding:.7mm 1.5mm;text-align:left;vertical-align:top;"
    "overflow-wrap:anywhere}th{width:34%;font-weight:600}\n.clips th{width:auto}.clips td:nth-child(2),.clips td:nth-child(3){overflow-wrap:normal}code{font-size:9pt}"
    ".print{display:flex;gap:4mm;align-items:center}.qr{width:34mm;flex:none}\n"
    ".sign{display:flex;gap:10mm;margin-top:5mm}.sign div{flex:1;border-top:1px solid #000;margin-top:16mm;"
    "padding-top:1mm;text-align:center}\n</style></head><body>\n"
    "<h1>BERITA ACARA PENYERAHAN REKAMAN ELEKTRONIK<br><small>Report on handing over electronic recordings"
    "</small></h1>\n";

char *kt_package_paper(const struct kt_package *p)
{
    struct page page;
    char qr[320];
    const char *key = kt_signer_fingerprint(p->params->signer);
    if (!begin(&page))
        return NULL;
    fputs(head, page.out);
    put_facts(page.out, p);
    put_clips(page.out, p);
    snprintf(qr, sizeof(qr), "%s\nmanifest:%s\nkey:%s", p->name, p->manifest_sha256, key);
    fputs("<div class=\"print\">", page.out);
    put_qr(page.out, qr);
    fprintf(page.out, "<div><p><b>Sidik jari manifes / Manifest (SHA-256)</b><br><code>%s</code></p>"
                      "<p><b>Sidik jari kunci / Key (SHA-256)</b><br><code>%s</code></p>"
                      "<p>Cara memeriksa: BACA-SAYA.txt / How to check: README.txt</p></div></div>\n",
            p->manifest_sha256, key);
    fputs("<p>Rekaman di atas diserahkan tanpa diubah. / The recordings above are handed over unaltered.</p>\n"
          "<div class=\"sign\"><div>Yang menyerahkan / Handed over by</div><div>Yang menerima / Received by</div>"
          "<div>Saksi / Witness</div></div>\n</body></html>\n", page.out);
    return end(&page);
}
