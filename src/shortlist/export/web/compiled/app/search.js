// Items found by a part of what they are called.
const SHOWN = 8;
/**
 * A search over the titles, in memory.
 *
 * @param fame - of a row, so that of items that fit alike the better known comes first.
 */
export function titleSearch({ items }, fame, note) {
    const titles = Array.from({ length: items.count }, (_, position) => plain(items.titleOf(position + 1)));
    return (text) => {
        const words = plain(text).split(" ").filter(Boolean);
        const hits = titles.flatMap((title, position) => {
            const fit = fitOf(title, words);
            return fit > 0 ? [{ row: position + 1, fit }] : [];
        });
        hits.sort((a, b) => b.fit - a.fit || fame(b.row) - fame(a.row) || a.row - b.row);
        return hits.slice(0, SHOWN).map(({ row }) => ({ id: items.id(row), title: items.titleOf(row), note: note(row) }));
    };
}
/** 3 where the title begins with the words, 2 where its words begin with them, 1 where it holds them, else 0. */
function fitOf(title, words) {
    if (!words.every((word) => title.includes(word)))
        return 0;
    if (title.startsWith(words.join(" ")))
        return 3;
    return words.every((word) => ` ${title}`.includes(` ${word}`)) ? 2 : 1;
}
/** Without accents, capitals and marks. */
const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();
