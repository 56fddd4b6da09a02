package ledger

import (
	"strings"

	"tocsin/internal/notice"
)

// stateNames are the states of a delivery as our statements write them: {queued}.
var stateNames = func() *strings.Replacer {
	var pairs []string
	for _, s := range notice.DeliveryStates {
		pairs = append(pairs, "{"+s.String()+"}", string('0'+rune(s)))
	}
	return strings.NewReplacer(pairs...)
}()

// named puts the numbers of states in the place of their names in a statement.
func named(sql string) string { return stateNames.Replace(sql) }
