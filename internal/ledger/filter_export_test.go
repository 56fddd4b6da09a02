package ledger

// What the tests look at from inside.
var FilterSQL = filterSQL

const HistorySQL = historySQL
