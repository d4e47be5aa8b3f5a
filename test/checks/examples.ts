/**
 * Code in the documentation: fenced blocks of the Markdown files and of the doc comments in src/.
 *
 * | fence          | meaning                                                                                               |
 * |----------------|-------------------------------------------------------------------------------------------------------|
 * | `ts`           | a whole program: type-checked and run, with `weights/` beside it and `qwen3.ts` meaning this package    |
 * | `ts check`     | a whole program that needs what a test has not (a browser, a download): type-checked                    |
 * | `ts excerpt`   | lines that stand so in src/ or assembly/; a line `...` stands for some that are left out                |
 * | `sh`           | commands, one a line, run in a fresh copy of the repository in the order of the page, with text as input |
 * | `sh check`     | commands that are not run (large models, the network); the npm scripts they name must exist             |
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../paths.ts";
import { sourceFiles } from "./sources.ts";

export interface Example {
  /** `README.md:12`, the place of its first line. */
  readonly place: string;
  readonly language: string;
  readonly flag: string;
  readonly code: string;
}

const PAGES = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "CHANGELOG.md",
  "docs/server.md",
  "weights/nano/README.md",
];

/** Those of the pages, then those of the doc comments, in order. */
export function allExamples(): Example[] {
  const pages = PAGES.filter((page) => existsSync(join(root, page)));
  return [
    ...pages.flatMap((page) => examplesOf(page, readFileSync(join(root, page), "utf8"))),
    ...sourceFiles("src").flatMap(({ path, text }) => examplesOf(path, docComments(text))),
  ];
}

export function examplesOf(path: string, markdown: string): Example[] {
  const fence = /^( *)```(\w+)(?: +(\w+))?[^\n]*\n([\s\S]*?)^\1```/gm;
  return [...markdown.matchAll(fence)].map((match) => {
    const [, indent = "", language = "", flag = "", code = ""] = match;
    const line = markdown.slice(0, match.index).split("\n").length + 1;
    return { place: `${path}:${line}`, language, flag, code: code.replaceAll(new RegExp(`^${indent}`, "gm"), "") };
  });
}

/** The doc comments of a source text as Markdown; every other line empty, so that line numbers stay. */
export function docComments(text: string): string {
  const lines = text.split("\n").map(() => "");
  for (const match of text.matchAll(/\/\*\*[\s\S]*?\*\//g)) {
    const first = text.slice(0, match.index).split("\n").length - 1;
    for (const [i, line] of match[0].slice(3, -2).split("\n").entries()) lines[first + i] = line.replace(/^ *\* ?/, "").trimEnd();
  }
  return lines.join("\n");
}

/** The simple commands of a block: comments and prompts off, `a && b` apart, a backslash at a line's end joins the next. */
export function commandsOf({ code }: Example): string[] {
  return code
    .replaceAll(/\\\n\s*/g, "")
    .split("\n")
    .map((line) =>
      line
        .replace(/^\$ /, "")
        .replace(/(?:^|\s)#.*$/, "")
        .trim(),
    )
    .flatMap((line) => line.split(" && "))
    .filter((command) => command !== "");
}

/** The npm script that a command runs, if it does. */
export function npmScript(command: string): string | undefined {
  const [, script] = /^npm (?:run(?:-script)? (?:--silent )?([\w:-]+)|(?:start|test|t)\b)/.exec(command) ?? [];
  return script ?? (/^npm start\b/.test(command) ? "start" : /^npm (?:test|t|cit)\b/.test(command) ? "test" : undefined);
}

/** Whether the lines of an excerpt stand in one of `texts`, in order; `...` skips some, indentation does not matter. */
export function isExcerptOf(code: string, texts: readonly string[]): boolean {
  const flat = (text: string) =>
    text
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "")
      .join("\n");
  const parts = flat(code)
    .split(/(?:^|\n)\.\.\.(?:\n|$)/)
    .filter((part) => part !== "");
  return texts.some((text) => {
    const lines = `\n${flat(text)}\n`;
    let at = 0;
    return parts.every((part) => {
      const found = lines.indexOf(`\n${part}\n`, at);
      at = found + part.length + 1;
      return found >= 0;
    });
  });
}
