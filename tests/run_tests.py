#!/usr/bin/python3
"""Run test suites and count single tests.

usage: run_tests.py PART...   unit, integration, browser, faults, sanitizers

Each part is the Meson suite of that name (unit: and "ui", the browser app's own; sanitizers:
unit and integration, in the two sanitizer builds). Check programs report in TAP through
CK_TAP_LOG_FILE_NAME, the others on standard output, in TAP or as a last line like ours; a
program that does neither counts as one test. The last line is "N passed, N failed,
N skipped", and a part that ran nothing has failed.
"""
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PARTS = {
    "unit": [("build", ["unit", "headers", "ui"])],
    "integration": [("build", ["integration"])],
    "browser": [("build", ["browser"])],
    "faults": [("build", ["faults"])],
    "sanitizers": [("build-asan", ["unit", "integration"]), ("build-tsan", ["unit", "integration"])],
}
# What these promise is about time, which a build many times slower cannot keep, or takes long
# because it waits; the rest of the program's code they share with the others.
# KT_SANITIZE_ALL=1 runs them all the same.
NOT_SANITIZED = {"camera", "clock_steps", "names", "foreign", "forty", "overload", "power", "proxy", "rings", "secrets"}
# On a machine that is shared with others one of these gets a second chance when it fails, and that is said.
REAL_PROGRAMS = {"integration", "browser", "faults"}
SLOWER = {"build": 1, "build-asan": 4, "build-tsan": 6}
TAP_LINE = re.compile(r"^(not )?ok\b(.*)$")
SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")
SKIP_EXIT = 77


class Count:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def count_tap(text):
    count, bad = Count(), []
    summary = SUMMARY.search(text.strip().rpartition("\n")[2])
    if summary:
        count = Count(*map(int, summary.groups()))
        return count, [line for line in text.splitlines() if "not ok" in line]
    for line in text.splitlines():
        match = TAP_LINE.match(line)
        if not match:
            continue
        if re.search(r"#\s*(SKIP|TODO)\b", match[2], re.I):
            count.skipped += 1
        elif match[1]:
            count.failed += 1
            bad.append(line)
        else:
            count.passed += 1
    return count, bad


def sanitizer_environment():
    return {
        "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=99",
        "TSAN_OPTIONS": "halt_on_error=0:exitcode=99:second_deadlock_stack=1"
                        f":suppressions={ROOT}/tests/tsan.supp",
        "LSAN_OPTIONS": f"suppressions={ROOT}/tests/lsan.supp:print_suppressions=0",
    }


def execute(command, env, cwd, timeout):
    """Run COMMAND in a session of its own; its exit status, or None when time ran out."""
    process = subprocess.Popen(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, text=True, errors="replace",
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=timeout)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return None, output


def run_test(build, test):
    """Run one program; (name, count, seconds, text to show)."""
    results = os.path.join(ROOT, build, "test-results")
    os.makedirs(results, exist_ok=True)
    tap_file = os.path.join(results, re.sub(r"\W+", "-", test["name"]) + ".tap")
    if os.path.exists(tap_file):
        os.remove(tap_file)
    env = dict(os.environ, **sanitizer_environment(), **test.get("env", {}))
    env.update(CK_TAP_LOG_FILE_NAME=tap_file, KT_BUILD=os.path.join(ROOT, build), KT_ROOT=ROOT,
               CK_TIMEOUT_MULTIPLIER=str(SLOWER[build]))
    started = time.monotonic()
    status, output = execute(test["cmd"], env, test.get("workdir") or os.path.join(ROOT, build),
                             (test["timeout"] or 30) * SLOWER[build] + 30)
    seconds = time.monotonic() - started
    with open(tap_file[:-4] + ".log", "w") as log:
        log.write(output)
    tap = output
    if os.path.exists(tap_file):
        with open(tap_file, errors="replace") as f:
            tap = f.read()
    count, bad = count_tap(tap)
    if status == SKIP_EXIT and count.failed == 0:
        return test["name"], Count(skipped=1), seconds, output
    if count.passed + count.failed + count.skipped == 0:
        count = Count(passed=1) if status == 0 else Count(failed=1)
    elif status != 0 and count.failed == 0:
        count.failed += 1
        bad.append("time is up" if status is None else f"exit status {status}")
    if status is None:
        bad.append("time is up")
    text = "" if count.failed == 0 else "\n".join(bad + [""] + output.splitlines()[-60:])
    return test["name"], count, seconds, text


def tests_of(build, suites):
    listed = subprocess.run(["meson", "introspect", "--tests", build], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        sys.exit(f"run_tests.py: {build} is not built")
    wanted = []
    for test in json.loads(listed.stdout):
        suite = {s.split(":")[-1] for s in test["suite"]} & set(suites)
        if suite:
            wanted.append((suite.pop(), test))
    return wanted


def run_beside(jobs, at_once, total):
    """Run JOBS, (build, test)s, AT_ONCE of them at a time. Returns the real programs that failed."""
    again = []
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        running = {pool.submit(run_test, build, test): (suite, build, test) for suite, build, test in jobs}
        for job in concurrent.futures.as_completed(running):
            suite, build, test = running[job]
            if suite in REAL_PROGRAMS and job.result()[1].failed:
                say_again(*job.result())
                again.append((build, test))
            else:
                total.add(report(build, *job.result()))
    return again


def run_part(part):
    """Programs that Meson calls parallel run side by side: first what computes, then what mostly waits."""
    total, jobs = Count(), []
    for build, suites in PARTS[part]:
        for suite, test in tests_of(build, suites):
            if build == "build" or os.environ.get("KT_SANITIZE_ALL") or test["name"] not in NOT_SANITIZED:
                jobs.append((suite, build, test))
    jobs.sort(key=lambda job: -(job[2]["timeout"] or 0))        # what may take long begins early
    cores = os.cpu_count() or 1
    run_beside([j for j in jobs if j[0] not in REAL_PROGRAMS], cores, total)
    again = run_beside([j for j in jobs if j[0] in REAL_PROGRAMS and j[2]["is_parallel"]], min(cores + 1, 4), total)
    for build, test in again:
        total.add(report(build, *run_test(build, test)))
    for suite, build, test in jobs:
        if suite not in REAL_PROGRAMS or test["is_parallel"]:
            continue
        result = run_test(build, test)
        if result[1].failed:
            say_again(*result)
            result = run_test(build, test)
        total.add(report(build, *result))
    if total.passed + total.failed == 0:
        print(f"FAIL  {part}: nothing was run")
        total.failed += 1
    return total


def say_again(name, count, seconds, text):
    print(f"again {name}: {count}, {seconds:.1f} s\n      " + text.replace("\n", "\n      "))


def report(build, name, count, seconds, text):
    word = "FAIL" if count.failed else "skip" if not count.passed else "ok  "
    where = "" if build == "build" else f" ({build})"
    if not name.endswith(".h") or count.failed:
        print(f"{word}  {name}{where}: {count}, {seconds:.1f} s")
    if text:
        print("      " + text.replace("\n", "\n      "))
    sys.stdout.flush()
    return count


def main():
    parts = sys.argv[1:]
    if not parts or any(p not in PARTS for p in parts):
        sys.exit(__doc__)
    total = Count()
    for part in parts:
        print(f"-- {part}")
        total.add(run_part(part))
    print(total)
    sys.exit(1 if total.failed else 0)


if __name__ == "__main__":
    main()
