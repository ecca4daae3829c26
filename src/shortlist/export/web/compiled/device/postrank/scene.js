// What the rules know beside the list.
export {};
