/*
 * build.mjs - the browser app into dist/: bundled, minified, hashed, compressed.
 *
 *   dist/index.html, sw.js, manifest.webmanifest   revalidated by the browser
 *   dist/assets/<name>-<hash>.<ext>                never change
 *   dist/assets.json                               what there is, for the embedder
 *
 * Every file that gains from it also lies there as .br and .gz.
 *
 *   node build.mjs [--dev] [--out DIR] [--embed TABLE.c DATA.S]
 *       --dev    readable, with source maps, not compressed
 *       --embed  also write the files as C and assembler, see assets.h
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, extname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const dev = process.argv.includes('--dev');
const outFlag = process.argv.indexOf('--out');
const dist = outFlag > 0 ? resolve(process.argv[outFlag + 1]) : join(here, 'dist');
const embedFlag = process.argv.indexOf('--embed');
const embed = embedFlag > 0 ? process.argv.slice(embedFlag + 1, embedFlag + 3).map((p) => resolve(p)) : null;
const FIRST_VIEW_LIMIT = 60 * 1024; // bytes, compressed: see docs/ui.md

const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.map': 'application/json',
  '.webmanifest': 'application/manifest+json',
};

const shared = {
  bundle: true,
  minify: !dev,
  sourcemap: dev,
  target: ['chrome108', 'firefox115', 'safari16.4'],
  absWorkingDir: here,
  logLevel: 'warning',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  charset: 'utf8',
};

const hash = (data) => createHash('sha256').update(data).digest('hex').slice(0, 10);

async function bundleApp() {
  const result = await build({
    ...shared,
    entryPoints: { app: 'src/main.tsx' },
    format: 'esm',
    splitting: true,
    outdir: join(dist, 'assets'),
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    metafile: true,
  });
  const outputs = Object.entries(result.metafile.outputs);
  const entry = outputs.find(([, o]) => o.entryPoint === 'src/main.tsx');
  if (!entry) throw new Error('the bundle has no entry point');
  const rel = (name) => relative(dist, resolve(here, name)).replaceAll('\\', '/');
  const first = new Set();
  const walk = (name) => {
    if (first.has(name)) return;
    first.add(name);
    for (const i of result.metafile.outputs[name].imports)
      if (i.kind === 'import-statement') walk(i.path);
  };
  walk(entry[0]);
  if (entry[1].cssBundle) first.add(entry[1].cssBundle);
  return { script: rel(entry[0]), style: rel(entry[1].cssBundle), first: [...first].map(rel) };
}

/* Files of public/ whose name must not change are copied as they are; icons get a hash. */
function copyIcons() {
  const names = {};
  for (const name of readdirSync(join(here, 'public'))) {
    const data = readFileSync(join(here, 'public', name));
    const ext = extname(name);
    const hashed = `assets/${name.slice(0, -ext.length)}-${hash(data)}${ext}`;
    writeFileSync(join(dist, hashed), data);
    names[name] = hashed;
  }
  return names;
}

function listFiles(dir) {
  return readdirSync(dir, { withFileTypes: true }).flatMap((e) =>
    e.isDirectory() ? listFiles(join(dir, e.name)) : [join(dir, e.name)]);
}

async function writePages(app, icons) {
  let html = readFileSync(join(here, 'src/index.html'), 'utf8');
  const preload = app.first.filter((f) => f.endsWith('.js') && f !== app.script)
    .map((f) => `<link rel="modulepreload" href="${f}">`).join('');
  html = html.replace('%SCRIPT%', app.script).replace('%STYLE%', app.style)
    .replace('%PRELOAD%', preload).replaceAll(/%ICON:([^%]+)%/g, (_, n) => icons[n]);
  writeFileSync(join(dist, 'index.html'), html);
  let manifest = readFileSync(join(here, 'src/manifest.webmanifest'), 'utf8');
  manifest = JSON.stringify(JSON.parse(manifest.replaceAll(/%ICON:([^%]+)%/g, (_, n) => icons[n])));
  writeFileSync(join(dist, 'manifest.webmanifest'), manifest);
  const shell = listFiles(join(dist, 'assets')).filter((f) => !f.endsWith('.map'))
    .map((f) => relative(dist, f)).sort();
  await build({
    ...shared,
    sourcemap: false,
    entryPoints: ['src/sw.ts'],
    format: 'iife',
    outfile: join(dist, 'sw.js'),
    define: {
      SHELL_FILES: JSON.stringify(shell),
      SHELL_VERSION: JSON.stringify(hash(shell.join('\n') + html)),
    },
  });
}

function compressAll() {
  const list = [];
  for (const file of listFiles(dist).sort()) {
    const data = readFileSync(file);
    const path = relative(dist, file);
    const entry = { path, type: types[extname(file)] ?? 'application/octet-stream',
      size: data.length, etag: hash(data), immutable: path.startsWith('assets/') };
    if (!dev && !['.png', '.map'].includes(extname(file))) {
      const br = brotliCompressSync(data, { params: {
        [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: data.length } });
      const gz = gzipSync(data, { level: 9 });
      if (br.length < data.length) { writeFileSync(`${file}.br`, br); entry.br = br.length; }
      if (gz.length < data.length) { writeFileSync(`${file}.gz`, gz); entry.gz = gz.length; }
    }
    list.push(entry);
  }
  writeFileSync(join(dist, 'assets.json'), `${JSON.stringify(list, null, 1)}\n`);
  return list;
}

/* The table of assets.h, and the bytes by .incbin: no compiler reads megabytes of numbers. */
function writeEmbedded(list, [table, data]) {
  const forms = ['plain', 'br', 'gz'];
  const has = (e, form) => form === 'plain' || e[form] !== undefined;
  const files = list.filter((e) => !e.path.endsWith('.map'))
    .sort((a, b) => (a.path < b.path ? -1 : 1)).map((e, i) => ({ ...e, symbol: `kt_ui_file_${i}` }));
  const asm = ['.section .rodata'];
  const externs = [];
  const rows = files.map((e) => {
    const cells = forms.map((form) => {
      if (!has(e, form)) return '{ NULL, 0 }';
      const symbol = `${e.symbol}_${form}`;
      const file = join(dist, e.path + (form === 'plain' ? '' : `.${form}`));
      asm.push(`.global ${symbol}`, `.balign 16`, `${symbol}:`, `.incbin "${file}"`);
      externs.push(`extern const uint8_t ${symbol}[];`);
      return `{ ${symbol}, ${form === 'plain' ? e.size : e[form]} }`;
    });
    return `    { "${e.path}", "${e.type}", "${e.etag}", ${e.immutable}, ${cells.join(', ')} },`;
  });
  asm.push('.section .note.GNU-stack,"",%progbits', '');
  writeFileSync(data, asm.join('\n'));
  writeFileSync(table, `/* Made by web/ui/build.mjs. */\n#include "web/ui/assets.h"\n\n${externs.join('\n')}\n\n` +
    `const struct kt_ui_asset kt_ui_assets[] = {\n${rows.join('\n')}\n};\n` +
    `const size_t kt_ui_assets_count = ${files.length};\n`);
}

rmSync(dist, { recursive: true, force: true });
mkdirSync(join(dist, 'assets'), { recursive: true });
const app = await bundleApp();
const icons = copyIcons();
await writePages(app, icons);
const list = compressAll();
if (embed) writeEmbedded(list, embed);
const firstView = list.filter((e) => e.path === 'index.html' || app.first.includes(e.path))
  .reduce((sum, e) => sum + (e.br ?? e.size), 0);
const all = list.reduce((sum, e) => sum + (e.br ?? e.size), 0);
console.log(`app: first view ${(firstView / 1024).toFixed(1)} kB, everything ` +
  `${(all / 1024).toFixed(1)} kB${dev ? ' (not compressed)' : ' (brotli)'}`);
if (!dev && firstView > FIRST_VIEW_LIMIT) {
  console.error(`the first view is larger than ${FIRST_VIEW_LIMIT / 1024} kB`);
  process.exit(1);
}
