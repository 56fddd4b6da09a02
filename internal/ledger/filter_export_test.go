package ledger

// FilterSQL and HistorySQL are inner parts that the tests look at.
var FilterSQL = filterSQL

const HistorySQL = historySQL
