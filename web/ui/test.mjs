/*
 * test.mjs - unit tests of the browser app: bundles test/*.test.ts for Node and runs them
 * with Node's own test runner. The last line counts: N passed, N failed, N skipped.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const only = process.argv[2] ?? '';
const out = mkdtempSync(join(tmpdir(), 'kentongan-ui-test-'));
const files = readdirSync(join(here, 'test')).filter((f) => f.endsWith('.test.ts') && f.includes(only));
let failed = 1;
try {
  await build({
    absWorkingDir: here,
    entryPoints: files.map((f) => join('test', f)),
    bundle: true, platform: 'node', format: 'esm', outdir: out, outExtension: { '.js': '.mjs' },
    sourcemap: 'inline', logLevel: 'warning', jsx: 'automatic', jsxImportSource: 'preact',
    define: { UI_ROOT: JSON.stringify(here) },
  });
  const run = spawnSync(process.execPath, ['--enable-source-maps', '--test', '--test-reporter=tap', out],
    { encoding: 'utf8' });
  const count = (word) => Number(run.stdout.match(new RegExp(`^# ${word} (\\d+)`, 'm'))?.[1] ?? 0);
  const ok = run.status === 0;
  const lines = run.stdout.split('\n');
  if (ok) console.log(lines.filter((l) => /^ *ok \d+/.test(l)).map((l) => l.replace(/ # duration.*/, '')).join('\n'));
  else console.log(run.stdout + run.stderr);
  failed = Math.max(count('fail'), ok ? 0 : 1);
  console.log(`${count('pass')} passed, ${failed} failed, ${count('skipped')} skipped`);
} finally {
  rmSync(out, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
