/**
 * What OpenCLIP does to a text before it is cut into tokens: repairs as ftfy makes them, HTML entities, white space,
 * lower case.
 */
import { decodeHTML, decodeHTMLStrict } from 'entities';

/** What windows-1252 means by the bytes 0x80 … 0x9f; the five without meaning stay control characters. */
const windows1252 = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ';

/** Byte of a character that came from UTF-8 read as windows-1252 or Latin-1. */
const byteOf: ReadonlyMap<string, number> = new Map([
  ...Array.from({ length: 128 }, (_, byte): [string, number] => [
    String.fromCharCode(byte + 128),
    byte + 128,
  ]),
  ...[...windows1252].map((character, index): [string, number] => [character, 0x80 + index]),
]);

const characterClass = (first: number, last: number): string =>
  `[${[...byteOf]
    .filter(([, byte]) => byte >= first && byte <= last)
    .map(([character]) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')}]`;

const following = characterClass(0x80, 0xbf);
const pairStart = characterClass(0xc2, 0xdf);
const longer = `(?:${characterClass(0xe0, 0xef)}${following}{2}|${characterClass(0xf0, 0xf4)}${following}{3})`;

/** Runs of what looks like UTF-8 in the wrong encoding. */
const mojibake = new RegExp(`(?:${pairStart}${following}|${longer})+`, 'gu');
/** A lone pair may be meant, such as a capital before a closing quote: only these are surely none. */
const sureMojibake = new RegExp(`^[ÂÃ]|${longer}|(?:${pairStart}${following}){2}`, 'u');

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** ‘Ã©’ → ‘é’: UTF-8 that was read as windows-1252. */
function repairEncoding(text: string): string {
  return text.replace(mojibake, run => {
    if (!sureMojibake.test(run)) return run;
    try {
      return strictUtf8.decode(Uint8Array.from(run, character => byteOf.get(character)!));
    } catch {
      return run;
    }
  });
}

const ligatures: Readonly<Record<string, string>> = {
  ...{ ﬀ: 'ff', ﬁ: 'fi', ﬂ: 'fl', ﬃ: 'ffi', ﬄ: 'ffl', ﬅ: 'ſt', ﬆ: 'st' },
  ...{ Ĳ: 'IJ', ĳ: 'ij', ŉ: 'ʼn', Ǳ: 'DZ', ǲ: 'Dz', ǳ: 'dz', Ǆ: 'DŽ', ǅ: 'Dž', ǆ: 'dž' },
  ...{ Ǉ: 'LJ', ǈ: 'Lj', ǉ: 'lj', Ǌ: 'NJ', ǋ: 'Nj', ǌ: 'nj' },
};
const ligature = new RegExp(`[${Object.keys(ligatures).join('')}]`, 'gu');

/** Escapes that steer a terminal, and control characters that no text means. */
const terminalEscapes = new RegExp(`${String.fromCharCode(27)}\\[(?:\\d*;)*\\d*[a-zA-Z]`, 'gu');
const controlCharacters = /(?![\t\n\f\r])\p{Cc}|[\u206a-\u206f\ufeff\ufff9-\ufffc]/gu;

function repairOnce(text: string): string {
  return repairEncoding(text.includes('<') ? text : decodeHTMLStrict(text))
    .replace(/[\u0080-\u009f]/gu, control => windows1252[control.charCodeAt(0) - 0x80]!)
    .replace(ligature, found => ligatures[found]!)
    .replace(/[\u3000\uff01-\uffef]/gu, wide => wide.normalize('NFKC'))
    .replace(/[\u02bc\u2018-\u201b]/gu, "'")
    .replace(/[\u201c-\u201f]/gu, '"')
    .replace(/\r\n|[\r\u2028\u2029\u0085]/gu, '\n')
    .replace(terminalEscapes, '')
    .replace(controlCharacters, '')
    .replace(/\p{Surrogate}/gu, '\ufffd')
    .normalize('NFC');
}

/** Text may have been damaged more than once. */
const maximumRepairs = 8;

function repair(text: string): string {
  let repaired = text;
  for (let round = 0; round < maximumRepairs; round++) {
    const before = repaired;
    repaired = repairOnce(before);
    if (repaired === before) break;
  }
  return repaired;
}

/** A text as CLIP's tokeniser takes it. */
export const cleanText = (text: string): string =>
  decodeHTML(decodeHTML(repair(text)))
    .trim()
    .replace(/\s+/gu, ' ')
    .trim()
    .toLowerCase();
