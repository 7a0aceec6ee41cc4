/* The scores of the search as Sphinx has them, but for places that have every word: they come after the pages about it. */
"use strict";

var Scorer = {
  score: ([page, , , , score]) => (["glossary", "bibliography", "changelog"].includes(page) ? Math.min(score, 4) : score),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
