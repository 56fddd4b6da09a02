package control

import (
	"slices"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
)

// Suppressing reads an entry for the list of suppressions as a person writes it: an address, or *@ and a domain. Without a reason it is a request.
func (*Desk) Suppressing(address, reason string, scope notice.Scope) (row notice.SuppressionRow, err error) {
	row = notice.SuppressionRow{Reason: notice.SuppressedRequest, Scope: scope}
	if row.Key, err = audience.ParseSuppressed(address); err != nil {
		return row, err
	}
	if !slices.Contains(notice.Scopes, scope) {
		return row, notice.Invalid("scope", "is none of those that there are")
	}
	if reason != "" {
		row.Reason, err = audience.CheckReason(reason)
	}
	return row, err
}
