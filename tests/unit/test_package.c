#include "storage/vault/jobs.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/footage_ring.h"
#include "tests/unit/run_suite.h"

#define BASE INT64_C(1700000000000000)
#define SECOND INT64_C(1000000)

/* One case is set up for all tests: video of a gate with a gap, held in a vault. */
static char dir[64];
static kt_catalog *catalog;
static kt_ring *ring;
static kt_vault *vault;
static kt_signer *signer;
static struct kt_hold hold;
static struct kt_incident incident = { .title = "Motor hilang <script>", .from_us = BASE,
                                       .to_us = BASE + 20 * SECOND, .cameras = (char *)"[\"gerbang\"]" };

/* Run COMMAND by sh with DIR, KEY, MANIFEST and NAME set. Its exit status. */
static int sh(const struct kt_package_info *info, const char *command)
{
    setenv("DIR", dir, 1);
    setenv("NAME", info ? info->name : "", 1);
    setenv("MANIFEST", info ? info->manifest_sha256 : "", 1);
    setenv("KEY", signer ? kt_signer_fingerprint(signer) : "", 1);
    const int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void setup(void)
{
    struct kt_error err = { "" };
    strcpy(dir, "/tmp/kt-package-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    kt_footage_make(kt_test_path(dir, "f.mp4"), 5);
    ck_assert_msg(kt_catalog_open(&catalog, kt_test_path(dir, "c.db"), &err) == 0, "%s", err.text);
    const struct kt_ring_params params = { .name = "video", .path = kt_test_path(dir, "ring"),
                                           .size_bytes = 256u << 20, .create = true };
    ck_assert_msg(kt_ring_open(&ring, &params, &err) == 0, "%s", err.text);
    const int64_t end = kt_footage_append(ring, "gerbang/main", kt_test_path(dir, "f.mp4"), 1, BASE);
    kt_footage_make(kt_test_path(dir, "f.mp4"), 4);
    kt_footage_append(ring, "gerbang/main", kt_test_path(dir, "f.mp4"), 2, end + 4 * SECOND);
    ck_assert_int_eq(kt_ring_flush(ring, 10 * SECOND), 0);
    ck_assert_int_eq(kt_catalog_incident_put(catalog, &incident), 0);
    hold = (struct kt_hold){ .incident = incident.id, .camera = "gerbang", .stream = "main",
                             .from_us = BASE + SECOND / 2, .to_us = BASE + 20 * SECOND };
    ck_assert_int_eq(kt_catalog_hold_add(catalog, &hold), 0);
    const struct kt_vault_params vp = { kt_test_path(dir, "vault"), 1u << 30, catalog };
    ck_assert_msg(kt_vault_open(&vault, &vp, &err) == 0, "%s", err.text);
    ck_assert_msg(kt_vault_hold(vault, &(struct kt_vault_ring){ ring, false }, 1, &hold, NULL, NULL, NULL, &err) == 0,
                  "%s", err.text);
    ck_assert_msg(kt_signer_load(&signer, kt_test_path(dir, "key.pem"), "RW 05", &err) == 0, "%s", err.text);
}

static void teardown(void)
{
    kt_signer_free(&signer);
    kt_vault_close(&vault);
    kt_ring_close(&ring);
    kt_catalog_close(&catalog);
    ck_assert_int_eq(sh(NULL, "rm -rf \"$DIR\""), 0);
    incident.id = 0;
}

/* A service that answers is in tests/integration/test_evidence.py. */
static int no_network(void *user, const void *data, size_t size, uint8_t **out, size_t *n, struct kt_error *err)
{
    return kt_error_set(err, -ENETUNREACH, "no network");
}

static int make(struct kt_package_info *info, int64_t serial, struct kt_error *err)
{
    const struct kt_package_gap gap = { BASE + 5 * SECOND, BASE + 9 * SECOND, "camera-silent" };
    struct kt_hold_file *files = NULL;
    size_t n = 0;
    ck_assert_int_eq(kt_catalog_hold_files(catalog, hold.id, &files, &n), 0);
    const struct kt_package_camera cam = { .id = "gerbang", .name = "Gerbang & \"Utara\"", .stream = "main",
        .address = "rtsp://192.168.1.11/stream1", .from_us = hold.from_us, .to_us = hold.to_us,
        .files = files, .n_files = n, .gaps = &gap, .n_gaps = 1 };
    const struct kt_package_params params = { .incident = &incident,
        .request = "{\"agency\":\"Polsek Melati\",\"officer\":\"Bripka Sari\",\"letter\":\"B/12/XI/2026\"}",
        .exported_by = "pak-rw", .site = "RW 05", .host = "pos", .version = "0.1.0", .zone = "WIB",
        .zone_offset_s = 7 * 3600, .serial = serial, .now_us = BASE + 3600 * SECOND, .cameras = &cam,
        .n_cameras = 1, .signer = signer, .timestamp = no_network };
    const int ret = kt_package_make(vault, &params, info, err);
    kt_hold_file_list_free(&files, n);
    return ret;
}

static struct kt_package_info make_package(int64_t serial)
{
    struct kt_package_info info;
    struct kt_error err = { "" };
    ck_assert_msg(make(&info, serial, &err) == 0, "%s", err.text);
    return info;
}

static char said[8192];

static void collect(void *user, bool good, const char *text)
{
    const size_t n = strlen(said);
    if (!good)
        snprintf(said + n, sizeof(said) - n, "%s\n", text);
}

/* What our own verifier says, knowing what the paper shows. */
static int verify(const char *path, const struct kt_package_info *info)
{
    struct kt_error err = { "" };
    const struct kt_package_check check = { .fingerprint = kt_signer_fingerprint(signer),
                                            .manifest_sha256 = info->manifest_sha256, .say = collect };
    said[0] = '\0';
    const int ret = kt_package_verify(path, &check, &err);
    const size_t n = strlen(said);
    if (ret < 0)
        snprintf(said + n, sizeof(said) - n, "%s\n", err.text);
    return ret;
}

static void unpack(const struct kt_package_info *info)
{
    ck_assert_int_eq(sh(info, "rm -rf \"$DIR/out\" && mkdir \"$DIR/out\" &&"
                              " python3 -m zipfile -e \"$DIR/vault/$NAME.zip\" \"$DIR/out\""), 0);
}

/* The commands that README.txt tells a stranger to type, taken from the file itself as it
 * was printed (from the clean package), run where FOLDER is. 0 when all succeed. */
static int verify_by_hand(const struct kt_package_info *info)
{
    return sh(info, "cd \"$DIR\"/out/*/ && sh -e \"$DIR/commands\" >\"$DIR/by-hand\" 2>&1");
}

static void print_commands(const struct kt_package_info *info)
{
    ck_assert_int_eq(sh(info, "cd \"$DIR/out/$NAME\" && sed -n 's/^    \\$ //p' README.txt >\"$DIR/commands\" &&"
                              " sed -n 's/^    \\$ //p' BACA-SAYA.txt | cmp - \"$DIR/commands\" &&"
                              " test \"$(wc -l <\"$DIR/commands\")\" -ge 6"), 0);
}

START_TEST(a_clean_package_is_accepted_by_the_program_and_by_hand)
{
    const struct kt_package_info info = make_package(1);
    char path[300];
    snprintf(path, sizeof(path), "%s/vault/%s.zip", dir, info.name);
    ck_assert_msg(verify(path, &info) == 0, "%s", said);
    unpack(&info);
    print_commands(&info);
    snprintf(path, sizeof(path), "%s/out/%s", dir, info.name);
    ck_assert_msg(verify(path, &info) == 0, "%s", said);
    ck_assert_int_eq(verify_by_hand(&info), 0);
    /* The clips are plain MP4 for anybody, and the manifest tells the truth about them. */
    ck_assert_int_eq(sh(&info,
        "cd \"$DIR/out/$NAME\" && for f in clip-*.mp4; do"
        " h=$(ffmpeg -v error -i \"$f\" -map 0:v -c copy -f streamhash -hash sha256 - | sed 's/.*=//');"
        " grep -q \"\\\"stream_hash\\\": \\\"$h\\\"\" manifest.json || exit 1; done &&"
        " test $(ls clip-*.mp4 | wc -l) = 2 && grep -q camera-silent manifest.json &&"
        " grep -q '\"starts_before_request_s\": 0.5' manifest.json && ! grep -q '<script>' BERITA-ACARA.html &&"
        " grep -q '<svg' BERITA-ACARA.html && grep -q \"$MANIFEST\" BERITA-ACARA.html"), 0);
}
END_TEST

#define REDO_SUMS " && for f in $(cut -c67- SHA256SUMS); do [ -f $f ] && sha256sum $f; done >../s; mv ../s SHA256SUMS"

/* What somebody may do to an unpacked package; run by sh in its folder. */
static const struct {
    const char *what, *how;
} tampering[] = {
    { "a bit of the video", "python3 - <<'X'\nimport glob\nf=sorted(glob.glob('clip-*'))[0]\nb=bytearray(open(f,'rb')."
      "read())\nb[len(b)//2]^=1\nopen(f,'wb').write(b)\nX" },
    { "a bit of the video, sums redone", "python3 - <<'X'\nimport glob\nf=sorted(glob.glob('clip-*'))[0]\n"
      "b=bytearray(open(f,'rb').read())\nb[len(b)//2]^=1\nopen(f,'wb').write(b)\nX\ntrue" REDO_SUMS },
    { "the last group of pictures cut off", "f=$(ls clip-* | tail -1); truncate -s -9000 $f" REDO_SUMS },
    { "two clips' names swapped", "set -- clip-*; mv $1 ../t; mv $2 $1; mv ../t $2" REDO_SUMS },
    { "a time in the manifest", "sed -i 's/2023-11-14T22:13:25/2023-11-14T21:13:25/' manifest.json" REDO_SUMS },
    { "the reason of a gap", "sed -i 's/camera-silent/restart/' manifest.json" REDO_SUMS },
    { "a gap left out", "python3 - <<'X'\nimport json\nm=json.load(open('manifest.json'))\nm['cameras'][0]['gaps']=[]\n"
      "open('manifest.json','w').write(json.dumps(m,indent=2,sort_keys=True)+'\\n')\nX\ntrue" REDO_SUMS },
    { "a file dropped", "rm $(ls clip-* | head -1)" },
    { "a file dropped with its line", "rm $(ls clip-* | head -1); sed -i 1d SHA256SUMS" },
    { "a file added", "cp $(ls clip-* | head -1) clip-extra.mp4" },
    { "the ring's records in another order", "f=$(ls log/*.records.json | head -1); python3 - $f <<'X'\nimport json,sys\n"
      "r=json.load(open(sys.argv[1]))\nopen(sys.argv[1],'w').write(json.dumps(r[::-1],separators=(',',':')))\nX\n"
      "true" REDO_SUMS },
    { "the recorder's log in another order", "f=$(ls log/*.chain | head -1); python3 - $f <<'X'\nimport sys\n"
      "b=open(sys.argv[1],'rb').read()\nopen(sys.argv[1],'wb').write(b[:256]+b[512:768]+b[256:512]+b[768:])\nX\n"
      "true" REDO_SUMS },
    { "a head signed by somebody else", "h=$(ls log/*.head | head -1); openssl ecparam -name prime256v1 -genkey -noout"
      " -out ../k && openssl dgst -sha256 -sign ../k -out $h.sig $h" REDO_SUMS },
    { "another key and certificate, everything signed anew",
      "openssl ecparam -name prime256v1 -genkey -noout -out ../k &&"
      " openssl req -x509 -new -key ../k -subj /CN=RW -days 99 -out signer-cert.pem &&"
      " openssl pkey -in ../k -pubout -out signer-pub.pem &&"
      " openssl dgst -sha256 -sign ../k -out manifest.json.sig manifest.json" REDO_SUMS
      " && openssl dgst -sha256 -sign ../k -out SHA256SUMS.sig SHA256SUMS" },
    { "an old package under the name of a new case", "cd .. && mv EV-* EV-99-20261124T000000Z-0099" },
    { "an old package under a new number inside, too",
      "sed -i \"s/$NAME/EV-99-20261124T000000Z-0099/\" manifest.json BERITA-ACARA.html" REDO_SUMS
      " && cd .. && mv EV-* EV-99-20261124T000000Z-0099" },
    { "the custody log", "sed -i 's/pak-rw/orang lain/' custody.csv" REDO_SUMS },
    { "a signature of nothing", ": >SHA256SUMS.sig" },
};

START_TEST(tampering_is_found_by_the_program_and_by_hand)
{
    const struct kt_package_info info = make_package(1);
    unpack(&info);
    print_commands(&info);
    ck_assert_int_eq(verify_by_hand(&info), 0);
    setenv("HOW", tampering[_i].how, 1);
    ck_assert_int_eq(sh(&info, "cd \"$DIR/out/$NAME\" && cp -r . \"$DIR/clean\" && sh -c \"$HOW\""
                               " >/dev/null 2>&1"), 0);
    ck_assert_msg(sh(&info, "cd \"$DIR\"/out/*/ && ! diff -r . \"$DIR/clean\" >/dev/null ||"
                            " ! test -d \"$DIR/out/$NAME\"") == 0, "nothing was changed: %s", tampering[_i].what);
    ck_assert_int_eq(sh(&info, "ln -s \"$(echo \"$DIR\"/out/EV-*)\" \"$DIR/tampered\""), 0);
    ck_assert_msg(verify(kt_test_path(dir, "tampered"), &info) == -EBADMSG, "the program accepts: %s", tampering[_i].what);
    ck_assert_msg(verify_by_hand(&info) != 0, "the commands accept: %s", tampering[_i].what);
}
END_TEST

/* Run by sh in an unpacked package: the one who holds the package's key changes it and signs
 * everything anew, report included. What the ring signed when it recorded is out of his reach. */
#define SIGN_ANEW \
    "old=$MANIFEST; new=$(sha256sum manifest.json | cut -c-64); sed -i \"s/$old/$new/g\" BERITA-ACARA.html;" \
    " openssl dgst -sha256 -sign $DIR/key.pem -out manifest.json.sig manifest.json;" \
    " true" REDO_SUMS "; openssl dgst -sha256 -sign $DIR/key.pem -out SHA256SUMS.sig SHA256SUMS"
#define EDIT(python) "python3 - <<'X'\nimport glob,hashlib,json,re,subprocess\n" \
    "m=json.load(open('manifest.json'))\nc=m['cameras'][0]['clips'][0]\n" python \
    "\nopen('manifest.json','w').write(json.dumps(m,indent=2,sort_keys=True,ensure_ascii=False)+'\\n')\nX\n" SIGN_ANEW

static const struct {
    const char *what, *how, *says;
} forged[] = {
    { "other pictures", EDIT("f=c['file']\nb=bytearray(open(f,'rb').read())\ni=b.rindex(b'mdat')\nb[i+40]^=1\n"
      "open(f,'wb').write(b)\nc['sha256']=hashlib.sha256(b).hexdigest()\n"
      "c['stream_hash']=subprocess.check_output(['ffmpeg','-v','error','-i',f,'-map','0:v','-c','copy','-f',"
      "'streamhash','-hash','sha256','-'],text=True).strip().split('=')[1]"),
      "is not what the recorder hashed" },
    { "another time", EDIT("for k in ('from','to','from_local','to_local'):\n"
      "  c['recorded'][k]=c['recorded'][k].replace('T22','T21').replace('T05','T04')"),
      "are not those of the recorder's log" },
    { "a record's time", EDIT("f=c['records']\nr=json.load(open(f))\nr[1][1]+=1000\n"
      "b=json.dumps(r,separators=(',',':')).encode()\nopen(f,'wb').write(b)\n"
      "[x.update(sha256=hashlib.sha256(b).hexdigest(),size=len(b)) for x in m['files'] if x['file']==f]"),
      "was another in the recorder's log" },
    { "a piece left out of the middle", EDIT("f=c['file']\nl=c['records']\nr=json.load(open(l))\nb=open(f,'rb').read()\n"
      "at=b.index(b'moof')-4+r[0][4]\nb=b[:at]+b[at+r[1][4]:]\nopen(f,'wb').write(b)\n"
      "c['size']=len(b)\nc['frames']-=r[1][3]\nc['ring_records']-=1\nc['sha256']=hashlib.sha256(b).hexdigest()\ndel r[1]\n"
      "t=json.dumps(r,separators=(',',':')).encode()\nopen(l,'wb').write(t)\n"
      "[x.update(sha256=hashlib.sha256(t).hexdigest(),size=len(t)) for x in m['files'] if x['file']==l]\n"
      "c['stream_hash']=subprocess.check_output(['ffmpeg','-v','error','-i',f,'-map','0:v','-c','copy','-f',"
      "'streamhash','-hash','sha256','-'],text=True).strip().split('=')[1]"),
      "was left out, and no gap says why" },
    { "a header left out", EDIT("k=c['chain']\nf=k['file']\nb=open(f,'rb').read()\nb=b[:512]+b[768:]\n"
      "open(f,'wb').write(b)\nk['sha256']=hashlib.sha256(b).hexdigest()\nk['size']=len(b)"), "is no chain" },
};

START_TEST(whoever_holds_the_package_s_key_cannot_change_what_the_ring_signed)
{
    const struct kt_package_info info = make_package(1);
    const struct kt_package_check check = { .fingerprint = kt_signer_fingerprint(signer), .say = collect };
    struct kt_error err;
    unpack(&info);
    /* The same forgery without a change is accepted: it is the change that is found. */
    const char *const ways[] = { EDIT("pass"), forged[_i].how };
    for (int way = 0; way < 2; way++) {
        setenv("HOW", ways[way], 1);
        ck_assert_int_eq(sh(&info, "cd \"$DIR/out/$NAME\" && sh -c \"$HOW\" && ln -sfn \"$PWD\" \"$DIR/forged\""), 0);
        said[0] = '\0';
        const int ret = kt_package_verify(kt_test_path(dir, "forged"), &check, &err);
        ck_assert_msg(ret == (way ? -EBADMSG : 0), "%s: %d %s", forged[_i].what, ret, said);
    }
    ck_assert_msg(strstr(said, forged[_i].says), "%s: %s", forged[_i].what, said);
}
END_TEST

START_TEST(the_report_can_be_read_without_unpacking)
{
    const struct kt_package_info info = make_package(1);
    char *text = NULL;
    size_t size = 0;
    ck_assert_int_eq(kt_package_text(vault, info.name, "BERITA-ACARA.html", &text, &size), 0);
    ck_assert_uint_eq(strlen(text), size);
    ck_assert_ptr_nonnull(strstr(text, info.manifest_sha256));
    free(text);
    ck_assert_int_eq(kt_package_text(vault, info.name, "no-such-file", &text, &size), -ENOENT);
    ck_assert_int_eq(kt_package_text(vault, "EV-9-none", "BERITA-ACARA.html", &text, &size), -ENOENT);
    ck_assert_int_eq(kt_package_text(vault, "../EV-1", "manifest.json", &text, &size), -EINVAL);
}
END_TEST

START_TEST(a_hundred_clean_packages_are_accepted)
{
    for (int i = 1; i <= 100; i++) {
        const struct kt_package_info info = make_package(i);
        char path[300];
        snprintf(path, sizeof(path), "%s/vault/%s.zip", dir, info.name);
        ck_assert_msg(verify(path, &info) == 0, "package %d: %s", i, said);
        ck_assert_int_eq(kt_package_delete(vault, info.name), 0);
    }
}
END_TEST

/* Any byte of the ZIP itself; without the paper's numbers, too. */
START_TEST(a_damaged_zip_is_never_accepted)
{
    const struct kt_package_info info = make_package(1);
    char path[300];
    struct kt_error err;
    const struct kt_package_check check = { 0 };
    snprintf(path, sizeof(path), "%s/vault/%s.zip", dir, info.name);
    for (int i = 0; i < 40; i++) {
        FILE *f = fopen(path, "r+b");
        const long at = (long)((info.size_bytes - 30) * (uint64_t)i / 40);
        fseek(f, at, SEEK_SET);
        const int byte = fgetc(f);
        fseek(f, at, SEEK_SET);
        fputc(byte ^ 0x10, f);
        fclose(f);
        const int ret = kt_package_verify(path, &check, &err);
        f = fopen(path, "r+b");
        fseek(f, at, SEEK_SET);
        fputc(byte, f);
        fclose(f);
        /* A few bytes of a ZIP mean nothing (dates, attributes): then nothing was changed. */
        if (ret == 0) {
            ck_assert_int_eq(sh(&info, "true"), 0);
            continue;
        }
        ck_assert_int_lt(ret, 0);
    }
    ck_assert_int_eq(kt_package_verify(path, &check, &err), 0);
    ck_assert_int_eq(truncate(path, (off_t)info.size_bytes / 2), 0);
    ck_assert_int_lt(kt_package_verify(path, &check, &err), 0);
    ck_assert_int_eq(kt_package_verify("/nonexistent", &check, &err), -ENOENT);
}
END_TEST

START_TEST(a_held_file_that_rotted_makes_no_package)
{
    struct kt_package_info info;
    struct kt_error err = { "" };
    ck_assert_int_eq(sh(NULL, "f=$(ls $DIR/vault/hold-*.mp4 | head -1); printf x | dd of=$f bs=1 seek=4000"
                              " conv=notrunc 2>/dev/null"), 0);
    ck_assert_int_eq(make(&info, 1, &err), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(err.text, "hold-"));
    ck_assert_int_eq(sh(NULL, "! ls $DIR/vault/EV-* 2>/dev/null"), 0);
}
END_TEST

START_TEST(a_full_vault_makes_no_package_and_keeps_what_it_has)
{
    struct kt_package_info info;
    struct kt_error err = { "" };
    struct kt_vault_status status;
    kt_vault_status(vault, &status);
    const uint64_t used = status.used_bytes;
    ck_assert_int_eq(kt_vault_reserve(vault, status.max_bytes - used - 1000), 0);
    ck_assert_int_eq(make(&info, 1, &err), -ENOSPC);
    ck_assert_ptr_nonnull(strstr(err.text, "no room"));
    kt_vault_unreserve(vault, status.max_bytes - used - 1000);
    kt_vault_status(vault, &status);
    ck_assert_uint_eq(status.used_bytes, used);
    info = make_package(1);
    kt_vault_status(vault, &status);
    ck_assert_uint_eq(status.used_bytes, used + info.size_bytes);
}
END_TEST

static enum kt_job_state wait_for_export(int64_t id, struct kt_export **out)
{
    for (int i = 0; i < 300; i++) {
        ck_assert_int_eq(kt_catalog_export_get(catalog, id, out), 0);
        if ((*out)->state != KT_JOB_WAITING && (*out)->state != KT_JOB_RUNNING)
            break;
        kt_export_list_free(out, 1);
        poll(NULL, 0, 50);
    }
    ck_assert_ptr_nonnull(*out);
    return (*out)->state;
}

START_TEST(what_is_asked_for_in_the_catalog_is_held_and_packed)
{
    const struct kt_vault_ring rings[] = { { ring, false } };
    const struct kt_vault_jobs_params params = { .vault = vault, .catalog = catalog, .rings = rings,
        .n_rings = 1, .signer = signer, .site = "RW 05", .host = "pos", .version = "0.1.0", .zone = "WIB",
        .zone_offset_s = 7 * 3600 };
    kt_vault_jobs *jobs = NULL;
    struct kt_incident other = { .title = "Kedua", .from_us = BASE, .to_us = BASE + 20 * SECOND,
                                 .cameras = (char *)"[\"gerbang\"]" };
    ck_assert_int_eq(kt_catalog_incident_put(catalog, &other), 0);
    struct kt_hold h = { .incident = other.id, .camera = "gerbang", .stream = "main", .from_us = BASE,
                         .to_us = BASE + 20 * SECOND };
    struct kt_hold nothing = { .incident = other.id, .camera = "kebun", .stream = "main", .from_us = BASE,
                               .to_us = BASE + 20 * SECOND };
    struct kt_export e = { .incident = other.id, .created_by = "pak-rw" }, *done = NULL;
    ck_assert_int_eq(kt_catalog_hold_add(catalog, &h), 0);
    ck_assert_int_eq(kt_catalog_hold_add(catalog, &nothing), 0);
    ck_assert_int_eq(kt_catalog_export_add(catalog, &e), 0);
    ck_assert_int_eq(kt_vault_jobs_start(&jobs, &params), 0);
    ck_assert_msg(wait_for_export(e.id, &done) == KT_JOB_DONE, "%s", done->why);
    char path[300], *gaps = NULL;
    snprintf(path, sizeof(path), "%s/vault/%s.zip", dir, done->name);
    struct kt_package_info info = { 0 };
    strcpy(info.manifest_sha256, done->manifest_sha256);
    ck_assert_msg(verify(path, &info) == 0, "%s", said);
    kt_export_list_free(&done, 1);
    /* The hole between the runs, and what was missing at the end. */
    ck_assert_int_eq(kt_catalog_hold_gaps(catalog, h.id, &gaps), 0);
    ck_assert_msg(strstr(gaps, "[1700000005000000,1700000009000000,"), "%s", gaps);
    ck_assert_msg(strstr(gaps, "[1700000013000000,1700000020000000,"), "%s", gaps);
    free(gaps);
    ck_assert_int_eq(kt_catalog_hold_get(catalog, nothing.id, &nothing), 0);
    ck_assert_int_eq(nothing.state, KT_JOB_FAILED);
    ck_assert_ptr_nonnull(strstr(nothing.why, "kebun"));
    /* A package that is withdrawn is gone; so is a hold. */
    ck_assert_int_eq(kt_vault_jobs_cancel_export(jobs, e.id), 0);
    ck_assert_int_lt(access(path, F_OK), 0);
    ck_assert_int_eq(kt_vault_jobs_cancel_hold(jobs, h.id), 0);
    kt_vault_jobs_stop(&jobs);
    kt_vault_jobs_stop(&jobs);
}
END_TEST

START_TEST(what_was_erased_in_the_middle_is_a_gap_however_short_and_no_fault)
{
    const struct kt_vault_ring rings[] = { { ring, false } };
    const struct kt_vault_jobs_params params = { .vault = vault, .catalog = catalog, .rings = rings,
        .n_rings = 1, .signer = signer, .site = "RW 05", .host = "pos", .version = "0.1.0", .zone = "WIB",
        .zone_offset_s = 7 * 3600 };
    kt_vault_jobs *jobs = NULL;
    struct kt_incident other = { .title = "Ketiga", .from_us = BASE, .to_us = BASE + 5 * SECOND,
                                 .cameras = (char *)"[\"gerbang\"]" };
    struct kt_export *done = NULL;
    struct kt_package_info info = { 0 };
    char path[300], *gaps = NULL;
    uint32_t stream;
    ck_assert_int_eq(kt_ring_find_stream(ring, "gerbang/main", &stream), 0);
    ck_assert_int_eq(kt_ring_erase(ring, stream, BASE + 2 * SECOND + SECOND / 10, BASE + 2 * SECOND + SECOND / 5), 1);
    ck_assert_int_eq(kt_catalog_incident_put(catalog, &other), 0);
    struct kt_hold h = { .incident = other.id, .camera = "gerbang", .stream = "main", .from_us = other.from_us,
                         .to_us = other.to_us };
    struct kt_export e = { .incident = other.id, .created_by = "pak-rw" };
    ck_assert_int_eq(kt_catalog_hold_add(catalog, &h), 0);
    ck_assert_int_eq(kt_catalog_export_add(catalog, &e), 0);
    ck_assert_int_eq(kt_vault_jobs_start(&jobs, &params), 0);
    ck_assert_msg(wait_for_export(e.id, &done) == KT_JOB_DONE, "%s", done->why);
    snprintf(path, sizeof(path), "%s/vault/%s.zip", dir, done->name);
    strcpy(info.manifest_sha256, done->manifest_sha256);
    ck_assert_int_eq(kt_catalog_hold_gaps(catalog, h.id, &gaps), 0);
    ck_assert_msg(strstr(gaps, ",\"erased\"]"), "%s", gaps);
    ck_assert_msg(verify(path, &info) == 0, "%s", said);
    free(gaps);
    kt_export_list_free(&done, 1);
    kt_vault_jobs_stop(&jobs);
}
END_TEST

START_TEST(a_new_key_is_not_written_through_what_lies_in_its_way)
{
    kt_signer *other = NULL;
    struct kt_error err = { "" };
    struct stat st;
    ck_assert_int_eq(sh(NULL, "cd \"$DIR\" && echo mine >victim && chmod 644 victim && ln -s victim new.pem.part"), 0);
    ck_assert_msg(kt_signer_load(&other, kt_test_path(dir, "new.pem"), "RW 05", &err) == 0, "%s", err.text);
    ck_assert_int_eq(lstat(kt_test_path(dir, "new.pem"), &st), 0);
    ck_assert(S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0600);
    ck_assert_int_eq(sh(NULL, "cd \"$DIR\" && test \"$(cat victim)\" = mine && test ! -e new.pem.part"), 0);
    kt_signer_free(&other);
}
END_TEST

START_TEST(the_signer_keeps_its_fingerprint_and_its_key_to_itself)
{
    char before[65];
    struct kt_error err = { "" };
    struct stat st;
    strcpy(before, kt_signer_fingerprint(signer));
    kt_signer_free(&signer);
    ck_assert_int_eq(stat(kt_test_path(dir, "key.pem"), &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(kt_signer_load(&signer, kt_test_path(dir, "key.pem"), "other name", &err), 0);
    ck_assert_str_eq(before, kt_signer_fingerprint(signer));
    ck_assert_int_eq(chmod(kt_test_path(dir, "key.pem"), 0644), 0);
    kt_signer *other = NULL;
    ck_assert_int_eq(kt_signer_load(&other, kt_test_path(dir, "key.pem"), "x", &err), -EACCES);
    ck_assert_int_eq(sh(NULL, "openssl genpkey -algorithm RSA -out $DIR/rsa 2>/dev/null; chmod 600 $DIR/rsa"), 0);
    ck_assert_int_eq(kt_signer_load(&other, kt_test_path(dir, "rsa"), "x", &err), -EINVAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("package");
    TCase *tc = tcase_create("package");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_clean_package_is_accepted_by_the_program_and_by_hand);
    tcase_add_loop_test(tc, tampering_is_found_by_the_program_and_by_hand, 0,
                        (int)(sizeof(tampering) / sizeof(tampering[0])));
    tcase_add_loop_test(tc, whoever_holds_the_package_s_key_cannot_change_what_the_ring_signed, 0,
                        (int)(sizeof(forged) / sizeof(forged[0])));
    tcase_add_test(tc, the_report_can_be_read_without_unpacking);
    tcase_add_test(tc, a_hundred_clean_packages_are_accepted);
    tcase_add_test(tc, a_damaged_zip_is_never_accepted);
    tcase_add_test(tc, a_held_file_that_rotted_makes_no_package);
    tcase_add_test(tc, a_full_vault_makes_no_package_and_keeps_what_it_has);
    tcase_add_test(tc, what_is_asked_for_in_the_catalog_is_held_and_packed);
    tcase_add_test(tc, what_was_erased_in_the_middle_is_a_gap_however_short_and_no_fault);
    tcase_add_test(tc, a_new_key_is_not_written_through_what_lies_in_its_way);
    tcase_add_test(tc, the_signer_keeps_its_fingerprint_and_its_key_to_itself);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}
