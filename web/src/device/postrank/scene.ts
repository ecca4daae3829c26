// What the rules know beside the list.

import type { Asker } from "../inputs.js";
import type { ItemTable } from "../items.js";
import type { Table } from "../tables.js";

export interface Scene {
  /** How many items of the list will be shown. */
  readonly size: number;
  readonly items: ItemTable;
  readonly asker: Asker;
  /** A table of the export. */
  readonly table: (name: string) => Table;
  /** The items' vectors at length 1, or null where the export has none to compare by. */
  readonly units: () => Table | null;
}
