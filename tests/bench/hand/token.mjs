// The token: grammar, checksum, tag, hash. `{prefix}_{env}_sk_{random 24}{locator 8}{tag 8}{crc 6}`.
import { hmac, sha256 } from "./sha256.mjs";

const GRAMMAR = /^[a-z][a-z0-9]{0,11}_([a-z0-9]{1,10})_sk_[0-9A-Za-z]{46}$/;
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const DIGITS = new Int8Array(128);
for (let i = 0; i < 62; i += 1) DIGITS[ALPHABET.charCodeAt(i)] = i;

const CRC = new Int32Array(256);
for (let n = 0; n < 256; n += 1) {
  let c = n;
  for (let bit = 0; bit < 8; bit += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  CRC[n] = c;
}

function crc32(text, length) {
  let crc = -1;
  for (let i = 0; i < length; i += 1) crc = CRC[(crc ^ text.charCodeAt(i)) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

// The number that base62 digits write.
export function number(text, from, to) {
  let value = 0;
  for (let i = from; i < to; i += 1) value = value * 62 + DIGITS[text.charCodeAt(i)];
  return value;
}

// The environment's code of a token in good form, or undefined.
export function environment(token) {
  const match = GRAMMAR.exec(token);
  if (match === null) return undefined;
  const end = token.length - 6;
  return crc32(token, end) === number(token, end, token.length) ? match[1] : undefined;
}

// A function that tells whether a token was issued under this secret.
export function issuedUnder(secret) {
  const mac = hmac(secret);
  const modulus = 62n ** 8n;
  return (token) => {
    const end = token.length - 14;
    const state = mac(token, end);
    const head = (BigInt(state[0] >>> 0) << 32n) | BigInt(state[1] >>> 0);
    return Number(head % modulus) === number(token, end, end + 8);
  };
}

// The SHA-256 of a token as 16 UTF-16 units: the quickest name for a Map.
export function hashOf(token) {
  return wordsToName(sha256(token));
}

// The same of 64 hex digits.
export function hashFromHex(hex) {
  const words = new Int32Array(8);
  for (let i = 0; i < 8; i += 1) words[i] = parseInt(hex.slice(i * 8, i * 8 + 8), 16);
  return wordsToName(words);
}

// The 8 words of a SHA-256 as a name.
export function wordsToName(h) {
  return String.fromCharCode(
    h[0] >>> 16, h[0] & 65535, h[1] >>> 16, h[1] & 65535, h[2] >>> 16, h[2] & 65535, h[3] >>> 16, h[3] & 65535,
    h[4] >>> 16, h[4] & 65535, h[5] >>> 16, h[5] & 65535, h[6] >>> 16, h[6] & 65535, h[7] >>> 16, h[7] & 65535,
  );
}
