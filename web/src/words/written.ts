/** A part of a text by an untrusted author: plain text, or the stand-in for one invisible character. */
export interface Part {
  text: string;
  /** The code point of the character that `text` stands for, such as U+202E; null for plain text. */
  code: string | null;
}

// Control characters, marks of direction and other invisible characters, except tab and the joiners: joiners are
// parts of words and of emoji.
const UNSEEN = /(?![\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

export function parts(text: string): Part[] {
  const found: Part[] = [];
  let plain = '';
  for (const character of text) {
    if (!UNSEEN.test(character)) {
      plain += character;
      continue;
    }
    if (plain) found.push({ text: plain, code: null });
    plain = '';
    found.push({ text: picture(character), code: codeOf(character) });
  }
  if (plain) found.push({ text: plain, code: null });
  return found;
}

function picture(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (character === '\n') return '\u240a\n';
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return '\u2421';
  return codeOf(character);
}

function codeOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}
