/*
 * r_share_page.c - the page of a link: for an officer without an account, on whatever
 * telephone or office computer. One file of HTML, no script, both languages, prints well.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "server/base/clock.h"

struct words {
    const char *lang, *title, *what, *for_whom, *incident, *file, *size, *until, *left, *unlimited,
        *download, *pin, *pin_hint, *go_on, *wrong, *gone, *gone_hint, *finger, *finger_hint, *how,
        *step_open, *step_print, *step_check, *windows, *linux_way, *other_lang, *other_name;
    /* of a copy for looking at; and before it is known which of them it is */
    const char *copy_title, *copy_what, *any_title, *any_what;
    const char *months[12];
};

static const struct words words_id = {
    .lang = "id", .title = "Berkas bukti rekaman",
    .what = "Rekaman asli kamera lingkungan, diserahkan atas permintaan Anda.",
    .for_whom = "Untuk", .incident = "Kejadian", .file = "Berkas", .size = "Ukuran",
    .until = "Tautan berlaku sampai", .left = "Sisa unduhan", .unlimited = "tanpa batas",
    .download = "Unduh berkas", .pin = "PIN",
    .pin_hint = "PIN disampaikan terpisah oleh pengurus, misalnya lewat telepon.",
    .go_on = "Lanjut", .wrong = "PIN salah. Setelah sepuluh kali salah, tautan ini ditutup.",
    .gone = "Tautan ini tidak berlaku lagi",
    .gone_hint = "Sudah lewat waktu, habis dipakai, atau dicabut. Mintalah tautan baru kepada pengurus.",
    .finger = "Sidik jari manifes (SHA-256)",
    .finger_hint = "Harus sama dengan yang tercetak di berita acara.",
    .how = "Sesudah diunduh", .step_open = "Buka berkas ZIP. Video di dalamnya dapat diputar dengan "
    "pemutar biasa.",
    .step_print = "Cetak <b>BERITA-ACARA.html</b> dan tanda tangani bersama pengurus.",
    .step_check = "Periksa keaslian bila perlu; petunjuknya di <b>BACA-SAYA.txt</b>:",
    .windows = "Windows, di dalam folder", .linux_way = "Linux atau macOS",
    .other_lang = "en", .other_name = "English",
    .copy_title = "Salinan tontonan, bukan bukti",
    .copy_what = "Video yang dikodekan ulang, dengan jam di dalam gambar; sebagian gambar mungkin disamarkan. "
    "Yang dapat menjadi bukti hanya rekaman aslinya.",
    .any_title = "Berkas rekaman", .any_what = "Video kamera lingkungan, diserahkan atas permintaan Anda.",
    .months = { "Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus",
                "September", "Oktober", "November", "Desember" },
};

static const struct words words_en = {
    .lang = "en", .title = "Recorded evidence",
    .what = "Original recordings of neighbourhood cameras, handed over at your request.",
    .for_whom = "For", .incident = "Incident", .file = "File", .size = "Size",
    .until = "Link works until", .left = "Downloads left", .unlimited = "no limit",
    .download = "Download the file", .pin = "PIN",
    .pin_hint = "The PIN was told to you separately, for example by telephone.",
    .go_on = "Go on", .wrong = "Wrong PIN. After ten wrong ones this link is closed.",
    .gone = "This link does not work any more",
    .gone_hint = "It is too old, used up, or was revoked. Ask for a new one.",
    .finger = "Fingerprint of the manifest (SHA-256)",
    .finger_hint = "Must be the one that is printed in the report.",
    .how = "After the download", .step_open = "Open the ZIP file. The video inside plays in any "
    "ordinary player.",
    .step_print = "Print <b>BERITA-ACARA.html</b> and sign it together.",
    .step_check = "Check that nothing was changed where needed; <b>README.txt</b> says how:",
    .windows = "Windows, inside the folder", .linux_way = "Linux or macOS",
    .other_lang = "id", .other_name = "Bahasa Indonesia",
    .copy_title = "Viewing copy, not evidence",
    .copy_what = "Video that was encoded anew, with the time in the picture; parts of it may be covered. "
    "Only the original recording can be evidence.",
    .any_title = "Recording", .any_what = "Video of neighbourhood cameras, handed over at your request.",
    .months = { "January", "February", "March", "April", "May", "June", "July", "August",
                "September", "October", "November", "December" },
};

static const char style[] =
    ":root{color-scheme:light dark;--bg:#f3f5f4;--box:#fff;--line:#cbd3cf;--text:#15201c;--dim:#52605a;"
    "--go:#08715d;--ink:#fff;--bad:#b3261e}"
    "@media(prefers-color-scheme:dark){:root{--bg:#101413;--box:#181d1b;--line:#323b37;--text:#e9edea;"
    "--dim:#a3aea9;--go:#4cc2a8;--ink:#06231c;--bad:#ff7b6b}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--text);"
    "font:17px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}"
    "main{max-width:640px;margin:0 auto;padding:24px 16px 40px}header{display:flex;align-items:center;"
    "gap:12px;justify-content:space-between;color:var(--dim);font-weight:600}"
    "a{color:var(--go)}header a{padding:11px 0}h1{font-size:26px;line-height:1.2;margin:14px 0 6px}"
    "h2{font-size:17px;margin:0 0 8px}p{margin:0 0 12px}.dim{color:var(--dim);font-size:15px}"
    "section{background:var(--box);border:1px solid var(--line);border-radius:14px;padding:18px;margin:16px 0}"
    "dl{display:grid;grid-template-columns:minmax(90px,34%) 1fr;gap:6px 14px;margin:0}dt{color:var(--dim)}"
    "dd{margin:0;overflow-wrap:anywhere}.go{display:block;width:100%;min-height:54px;padding:13px 18px;"
    "font:inherit;font-size:19px;font-weight:650;text-align:center;border:0;border-radius:12px;cursor:pointer;"
    "background:var(--go);color:var(--ink);text-decoration:none}"
    ":focus-visible{outline:3px solid var(--go);outline-offset:3px}"
    "input{font:inherit;font-size:26px;letter-spacing:.2em;width:100%;min-height:54px;padding:6px 14px;"
    "border:1px solid var(--line);border-radius:12px;background:var(--bg);color:var(--text)}"
    "label{display:block;font-weight:600;margin-bottom:6px}.bad{color:var(--bad);font-weight:600}"
    "code{display:block;font:15px/1.6 ui-monospace,monospace;overflow-wrap:anywhere;background:var(--bg);"
    "border-radius:8px;padding:8px 12px;margin:6px 0}ol{padding-left:22px;margin:0}li{margin-bottom:8px}"
    "@media print{body{background:#fff;color:#000}.go,header a{display:none}}";

/* ------------------------------ building it ------------------------------ */

struct page {
    struct web_request *r;
    const struct words *w;
    FILE *out;
    char *text;
    size_t size;
};

static const struct words *words_of(struct web_request *r)
{
    const char *asked = web_query(r, "lang");
    if (!asked)
        asked = r->web->params.language;
    return strcmp(asked, "en") == 0 ? &words_en : &words_id;
}

static void put_html(FILE *out, const char *text)
{
    static const char special[] = "<>&\"'";
    static const char *const instead[] = { "&lt;", "&gt;", "&amp;", "&quot;", "&#39;" };
    for (; *text; text++) {
        const char *s = strchr(special, *text);
        if (s)
            fputs(instead[s - special], out);
        else
            fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
}

enum content { CONTENT_ANY, CONTENT_PACKAGE, CONTENT_COPY };

static bool begin(struct page *p, struct web_request *r, enum content content)
{
    *p = (struct page){ .r = r, .w = words_of(r) };
    const char *title = content == CONTENT_PACKAGE ? p->w->title :
                        content == CONTENT_COPY ? p->w->copy_title : p->w->any_title;
    p->out = open_memstream(&p->text, &p->size);
    if (!p->out)
        return false;
    fprintf(p->out, "<!doctype html><html lang=\"%s\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
            "content=\"width=device-width,initial-scale=1\"><meta name=\"robots\" content=\"noindex\"><link rel=\"icon\" href=\"data:,\">"
            /* With no-referrer, browsers send the form of the PIN with "Origin: null". */
            "<meta name=\"referrer\" content=\"same-origin\">"
            "<title>%s</title><style>%s</style></head><body><main><header><span>Kentongan</span>"
            "<a href=\"?lang=%s\" lang=\"%s\">%s</a></header><h1>%s</h1>", p->w->lang, title, style,
            p->w->other_lang, p->w->other_lang, p->w->other_name, title);
    return true;
}

static enum MHD_Result finish(struct page *p, unsigned status)
{
    fputs("</main></body></html>\n", p->out);
    if (fclose(p->out) != 0) {
        free(p->text);
        return MHD_NO;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(p->size, p->text, MHD_RESPMEM_MUST_FREE);
    if (response)
        (void)MHD_add_response_header(response, "Content-Type", "text/html; charset=utf-8");
    else
        free(p->text);
    return web_reply(p->r, status, response, CACHE_NEVER);
}

static void put_row(struct page *p, const char *label, const char *text)
{
    fprintf(p->out, "<dt>%s</dt><dd>", label);
    put_html(p->out, text);
    fputs("</dd>", p->out);
}

/* "3 Desember 2026 pukul 04.50 WIB": the daemon set the site's zone for the process. */
static void format_time(const struct words *w, int64_t us, char *out, size_t cap)
{
    struct tm tm;
    const time_t s = (time_t)(us / KT_SECOND_US);
    localtime_r(&s, &tm);
    const bool id = w == &words_id;
    snprintf(out, cap, id ? "%d %s %d pukul %02d.%02d %s" : "%d %s %d, %02d:%02d %s", tm.tm_mday,
             w->months[tm.tm_mon % 12], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_zone);
}

/* Hex in groups of four, as it is read aloud and compared. */
static void put_grouped(FILE *out, const char *hex)
{
    for (size_t i = 0; hex[i]; i++) {
        if (i > 0 && i % 4 == 0)
            fputc(' ', out);
        fputc(hex[i], out);
    }
}

/* ------------------------------ what it says ------------------------------ */

static enum MHD_Result gone_page(struct web_request *r, bool was)
{
    struct page p;
    if (!begin(&p, r, CONTENT_ANY))
        return MHD_NO;
    fprintf(p.out, "<section><h2>%s</h2><p class=\"dim\">%s</p></section>", p.w->gone, p.w->gone_hint);
    return finish(&p, was ? 410 : 404);
}

static enum MHD_Result pin_page(struct web_request *r, bool wrong)
{
    const bool for_file = r->route->handle == web_share_package;
    struct page p;
    if (!begin(&p, r, CONTENT_ANY))
        return MHD_NO;
    fprintf(p.out, "<p>%s</p><section><form method=\"post\" action=\"%s%s?lang=%s\"><label for=\"pin\">%s</label>"
            "<p class=\"dim\" id=\"hint\">%s</p>%s%s%s<p><input id=\"pin\" name=\"pin\" inputmode=\"numeric\" "
            "pattern=\"[0-9]*\" autocomplete=\"off\" maxlength=\"12\" aria-describedby=\"hint\" required "
            "autofocus></p><button class=\"go\">%s</button></form></section>", p.w->any_what, for_file ? "../" : "",
            r->params.value[0], p.w->lang, p.w->pin,
            p.w->pin_hint, wrong ? "<p class=\"bad\" role=\"alert\">" : "", wrong ? p.w->wrong : "",
            wrong ? "</p>" : "", p.w->go_on);
    /* Whoever asked for the file itself must not take this page for it. */
    return finish(&p, wrong || for_file ? 403 : 200);
}

static void put_facts(struct page *p, const struct kt_share *share, const struct kt_export *e)
{
    struct kt_incident *in = NULL;
    char text[160];
    fputs("<dl>", p->out);
    if (kt_catalog_incident_get(p->r->web->params.catalog, e->incident, &in) == 0)
        put_row(p, p->w->incident, in->title);
    kt_incident_list_free(&in, in ? 1 : 0);
    if (share->note[0])
        put_row(p, p->w->for_whom, share->note);
    snprintf(text, sizeof(text), "%s.zip", e->name);
    put_row(p, p->w->file, text);
    snprintf(text, sizeof(text), "%.1f MB", (double)e->size_bytes / 1e6);
    if (p->w == &words_id)
        text[strcspn(text, ".")] = ',';
    put_row(p, p->w->size, text);
    format_time(p->w, share->expires_us, text, sizeof(text));
    put_row(p, p->w->until, text);
    if (share->max_downloads > 0)
        snprintf(text, sizeof(text), "%u", share->max_downloads > share->downloads ?
                 share->max_downloads - share->downloads : 0);
    put_row(p, p->w->left, share->max_downloads > 0 ? text : p->w->unlimited);
    fputs("</dl>", p->out);
}

/* What to do with a package: compare, print, check. */
static void put_checking(struct page *p, const struct kt_export *e)
{
    fprintf(p->out, "<section><h2>%s</h2><code>", p->w->finger);
    put_grouped(p->out, e->manifest_sha256);
    fprintf(p->out, "</code><p class=\"dim\" style=\"margin:0\">%s</p></section><section><h2>%s</h2><ol><li>%s"
            "<li>%s<li>%s<p class=\"dim\" style=\"margin:8px 0 0\">%s</p><code>certutil -hashfile manifest.json "
            "SHA256</code><p class=\"dim\" style=\"margin:8px 0 0\">%s</p><code>sha256sum -c SHA256SUMS</code>"
            "</ol></section>", p->w->finger_hint, p->w->how, p->w->step_open, p->w->step_print, p->w->step_check,
            p->w->windows, p->w->linux_way);
}

static enum MHD_Result download_page(struct web_request *r, const struct kt_share *share)
{
    struct kt_export *e = NULL;
    struct page p;
    if (kt_catalog_export_get(r->web->params.catalog, share->export_id, &e) < 0)
        return web_problem_errno(r, -ENOENT);
    const bool copy = kt_derived_wanted(e->request);
    if (!begin(&p, r, copy ? CONTENT_COPY : CONTENT_PACKAGE)) {
        kt_export_list_free(&e, 1);
        return MHD_NO;
    }
    /* Relative, as the pages of the app: the proxy may serve it below a path. */
    fprintf(p.out, "<p>%s</p><section>", copy ? p.w->copy_what : p.w->what);
    put_facts(&p, share, e);
    fprintf(p.out, "<p style=\"margin:18px 0 0\"><a class=\"go\" href=\"%s/package.zip\">%s</a></p></section>",
            r->params.value[0], p.w->download);
    if (copy)
        fprintf(p.out, "<section><h2>%s</h2><p style=\"margin:0\">%s</p></section>", p.w->how, p.w->step_open);
    else
        put_checking(&p, e);
    kt_export_list_free(&e, 1);
    return finish(&p, 200);
}

/* ------------------------------ routes ------------------------------ */

const char *web_share_pin_cookie(struct web_request *r, char out[16])
{
    return web_parse_cookie(web_header(r, "Cookie"), "pin", out, 16) ? out : NULL;
}

enum MHD_Result web_share_page(struct web_request *r)
{
    struct kt_share share;
    char pin[16];
    const int ret = kt_catalog_share_open(r->web->params.catalog, r->params.value[0],
                                          web_share_pin_cookie(r, pin), r->address, &share);
    if (ret == 0)
        return download_page(r, &share);
    if (ret == -ENOKEY || ret == -EACCES)
        return pin_page(r, ret == -EACCES);
    return gone_page(r, ret == -ESTALE);
}

/* The form of the page: pin=1234. Right or wrong, GET then says which. */
enum MHD_Result web_share_pin(struct web_request *r)
{
    char cookie[256], path[96], location[128];
    uint64_t pin;
    const char *text = r->body && strncmp(r->body, "pin=", 4) == 0 ? r->body + 4 : "";
    const char *lang = web_query(r, "lang");
    if (!web_parse_uint(text, UINT64_C(999999999999), &pin) || strlen(text) > 12)
        text = "0";
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    snprintf(path, sizeof(path), "/e/%.64s", r->params.value[0]);
    snprintf(location, sizeof(location), "%s%s", path, !lang ? "" :
             strcmp(lang, "en") == 0 ? "?lang=en" : "?lang=id");
    snprintf(cookie, sizeof(cookie), "pin=%s; Path=%s; HttpOnly; SameSite=Strict; Max-Age=3600%s",
             text, path, r->secure ? "; Secure" : "");
    if (response) {
        (void)MHD_add_response_header(response, "Set-Cookie", cookie);
        (void)MHD_add_response_header(response, "Location", location);
    }
    return web_reply(r, 303, response, CACHE_NEVER);
}
