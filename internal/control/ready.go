package control

import "tocsin/internal/notice"

// Ready returns the ready texts that notices may name, their phrases in a language as far as it has them.
func (d *Desk) Ready(lang string) notice.Ready {
	set, _ := d.Set.Current() // one that was changed to be wrong is told elsewhere
	return set.Ready(lang)
}
