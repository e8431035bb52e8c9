// Checks LEDGER.JSON of a copy in the browser, as check_my_list.py does; nothing leaves the browser.
//
// Per: RFC 8032 (Ed25519, by WebCrypto), RFC 9162 2.1.3 (the tree of RFC 6962), C2SP signed-note and tlog-checkpoint.
"use strict";
(() => {
  class Wrong extends Error {}

  const utf8 = (text) => new TextEncoder().encode(text);
  const joined = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
  const hex = (octets) => Array.from(octets, (one) => one.toString(16).padStart(2, "0")).join("");
  const sha256 = async (octets) => new Uint8Array(await crypto.subtle.digest("SHA-256", octets));
  const base64 = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));

  function textOf(value) {
    if (typeof value !== "string") throw new TypeError("a text is missing in it");
    return value;
  }

  function listOf(value) {
    if (!Array.isArray(value)) throw new TypeError("a list is missing in it");
    return value;
  }

  function unhex(text) {
    if (!/^([0-9a-f]{2})*$/.test(textOf(text))) throw new TypeError("a fingerprint in it cannot be read");
    return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  }

  // Lines of a signed note whose signature by the key holds; the key is called what the first line begins with.
  async function openNote(note, key, what) {
    const gap = textOf(note).lastIndexOf("\n\n");
    const text = gap < 0 ? "" : note.slice(0, gap);
    const name = text.split("\n")[0].split(" ")[0];
    const identifier = hex((await sha256(joined(utf8(name), utf8("\n"), [1], key.octets))).slice(0, 4));
    for (const line of gap < 0 ? [] : note.slice(gap + 2).split("\n")) {
      if (!line.startsWith(`\u2014 ${name} `)) continue;
      const raw = base64(line.slice(line.lastIndexOf(" ") + 1));
      if (hex(raw.slice(0, 4)) !== identifier) continue;
      if (await crypto.subtle.verify("Ed25519", key.made, raw.slice(4), utf8(`${text}\n`))) return text.split("\n");
    }
    throw new Wrong(`the signature of ${what} does not hold: it is forged, of another key, or of other words`);
  }

  async function openCheckpoint(note, key) {
    const [origin, size, root] = await openNote(note, key, "the checkpoint");
    if (origin.includes(" ") || !/^[0-9]+$/.test(size)) throw new Wrong("what was signed is no checkpoint");
    return { origin, size: Number(size), root: hex(base64(textOf(root))) };
  }

  // Hash of an entry (RFC 6962 2.1); of one that is withheld, what stands for it.
  async function hashOf(entry) {
    return entry.leaf === null ? unhex(entry.hash) : sha256(joined([0], utf8(textOf(entry.leaf))));
  }

  // Root over the tree that a path leads to (RFC 9162 2.1.3.2); null where it is too short or too long.
  async function climb(index, size, hashed, path) {
    if (!Number.isSafeInteger(index) || index < 0 || index >= size) return null;
    let [place, last, root] = [index, size - 1, hashed];
    for (const sibling of path) {
      if (last === 0) return null;
      if (place % 2 === 1 || place === last) {
        root = await sha256(joined([1], sibling, root));
        while (place % 2 === 0 && place !== 0) [place, last] = [place / 2, Math.floor(last / 2)];
      } else {
        root = await sha256(joined([1], root, sibling));
      }
      [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
    }
    return last === 0 ? hex(root) : null;
  }

  // Whether the words of an entry that are shown are found in what the entry committed to.
  async function areAsWritten(leaf, said) {
    const hashes = [];
    for (const one of listOf(said)) {
      const isShown = !Object.hasOwn(one, "hash");
      const salt = unhex(one.salt ?? "");
      if (textOf(one.name).includes("=") || salt.length !== (isShown ? 16 : 0)) return false;
      hashes.push(isShown ? hex(await sha256(joined(salt, utf8(`${one.name}=${textOf(one.value)}`)))) : one.hash);
      if (unhex(hashes.at(-1)).length !== 32) return false;
    }
    if (said.length === 0 && leaf.payload_sha256 === null) return true;
    return hex(await sha256(joined(...hashes.sort().map(unhex)))) === leaf.payload_commit;
  }

  async function checkEntries(one, signed, found) {
    let [before, expected] = [null, 1];
    for (const entry of one.entries) {
      const hashed = await hashOf(entry);
      let number = expected;
      if (entry.leaf !== null) {
        const leaf = JSON.parse(entry.leaf);
        number = leaf.subject_seq;
        if (number !== expected) {
          found.push(`entry ${expected} was left out or moved: entry ${number} stands in its place`);
        } else if (leaf.subject_prev !== before) {
          found.push(`entry ${number}: the one before it is not the one that was there when it was written`);
        }
        if (leaf.subject_id !== one.list || leaf.index !== entry.index) {
          found.push(`entry ${number} belongs to somebody else's list, or to another place`);
        }
        if (entry.open !== null && !(await areAsWritten(leaf, entry.open))) {
          found.push(`entry ${number}: the words that are shown are not those that were written`);
        }
      }
      if ((await climb(entry.index, signed.size, hashed, listOf(entry.proof).map(base64))) !== signed.root) {
        found.push(`entry ${number} was changed, or its proof is another's: it does not lead to the signed root`);
      }
      [before, expected] = [hex(hashed), number + 1];
    }
  }

  async function checkLists(content, key, signed) {
    const found = [];
    const [origin, size, ...counts] = await openNote(content.count, key, "the count");
    if (origin !== `${signed.origin} list` || size !== String(signed.size)) {
      found.push("the count was signed at another time than the checkpoint");
    }
    const left = new Map(counts.map((line) => [line.split(" ")[0], line.slice(line.indexOf(" ") + 1)]));
    for (const one of content.lists) {
      await checkEntries(one, signed, found);
      const last = one.entries.length ? hex(await hashOf(one.entries.at(-1))) : "";
      const said = left.get(one.list) ?? "no";
      left.delete(one.list);
      if (said !== `${one.entries.length} ${last}`) {
        found.push(`not all is here, or the end was changed: ${said.split(" ")[0]} entries were signed for`);
      }
    }
    for (const said of left.values()) found.push(`a whole list is missing, of ${said.split(" ")[0]} entries`);
    return found;
  }

  async function keyOf(text) {
    const octets = base64(textOf(text).trim().split("+").slice(2).join("+")).slice(1);
    return { octets, made: await crypto.subtle.importKey("raw", octets, "Ed25519", false, ["verify"]) };
  }

  // What a person is told of a file: whether it is right, and the lines to read.
  async function judged(text, givenKey) {
    const content = JSON.parse(text);
    const key = await keyOf(givenKey || content.key);
    const signed = await openCheckpoint(content.checkpoint, key);
    const entries = listOf(content.lists).flatMap((one) => listOf(one.entries));
    const found = entries.length ? await checkLists(content, key, signed) : ["there is no entry in it"];
    if (found.length) return { isRight: false, lines: found };
    const shown = entries.filter((entry) => entry.open !== null);
    const withheld = shown.flatMap((entry) => entry.open).filter((word) => Object.hasOwn(word, "hash")).length;
    const came = givenKey ? "was given by you" : "came with the list: compare it with the page /ledger/key of the site";
    return {
      isRight: true,
      lines: [
        `All ${entries.length} entries are as ${signed.origin} signed them when it had ${signed.size} entries.`,
        `None was changed, moved or left out. The words of ${shown.length} are those that were written.`,
        `Not opened: ${entries.length - shown.length} (refused to staff, older than such proofs, or the key is destroyed).`,
        `Withheld: ${withheld} words that may not be told; they stay bound by a hash.`,
        "Not shown: that all that was done was entered, what came later, that others see the same ledger.",
        `The key ${came}.`,
      ],
    };
  }

  // Whether this browser can check an Ed25519 signature: older ones cannot, and none can on a page without https.
  async function isAble() {
    try {
      await keyOf("+" + "+" + btoa("\x01" + "\x58" + "\x66".repeat(31)));
      return true;
    } catch {
      return false;
    }
  }

  function show(verdict, title, lines) {
    const head = document.createElement("p");
    const strong = document.createElement("b");
    strong.textContent = title;
    head.append(strong);
    const list = document.createElement("ul");
    for (const line of lines) list.append(Object.assign(document.createElement("li"), { textContent: line }));
    verdict.replaceChildren(head, list);
  }

  async function start() {
    const [file, key, verdict] = ["list-file", "list-key", "verdict"].map((id) => document.getElementById(id));
    if (!(await isAble())) {
      file.disabled = true;
      show(verdict, "This browser cannot check it.", [
        "It has no Ed25519 signatures (WebCrypto), or the page was not opened over https.",
        "Use a newer browser, or the program check_my_list.py, which needs nothing but Python.",
      ]);
      return;
    }
    const check = async () => {
      if (!file.files.length) return;
      show(verdict, "Checking…", []);
      try {
        const { isRight, lines } = await judged(await file.files[0].text(), key.value.trim());
        const end = "Keep the files, and tell the privacy office or the authority.";
        if (isRight) show(verdict, "Right", lines);
        else show(verdict, "This is NOT as it was signed", [...lines, end]);
      } catch (fault) {
        if (fault instanceof Wrong) show(verdict, "This is NOT as it was signed", [fault.message]);
        else show(verdict, "This file cannot be read", [String(fault.message)]);
      }
    };
    file.addEventListener("change", check);
    key.addEventListener("change", check);
  }

  start();
})();
