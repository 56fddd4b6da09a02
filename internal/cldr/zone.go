package cldr

import (
	"fmt"
	"strings"
	"time"
)

// metazone is zones that have one name.
type metazone struct {
	Standard int      `json:"standard"` // minutes east of UTC
	Daylight int      `json:"daylight"`
	Zones    []string `json:"zones"`
}

// ZoneName is the name of a zone in a locale, such as CET or MEZ, while the zone has a certain offset.
type ZoneName struct {
	Offset int    `json:"offset"` // minutes east of UTC
	Name   string `json:"name"`
}

// ZoneNames returns the short names that people commonly use for an IANA zone; none for most zones in most languages.
func (l *Locale) ZoneNames(zone *time.Location) (names []ZoneName) {
	if strings.HasPrefix(zone.String(), "Etc/") { // named by its offset, with the sign the other way round
		t := time.Unix(0, 0).In(zone)
		_, seconds := t.Zone()
		return []ZoneName{{seconds / 60, utcOffset(t)}}
	}
	for _, m := range load().metazones[zone.String()] {
		of := load().Metazones[m]
		for i, offset := range []int{of.Standard, of.Daylight} {
			if name := l.zones[m][i]; name != "" {
				names = append(names, ZoneName{offset, name})
			}
		}
	}
	return names
}

// Zone names the zone of a span of time: "CET, UTC+1", or "Europe/Amsterdam, UTC+1" where names have none. Its space does
// not break, because the second half would stand on the wrong side in a right-to-left text.
func Zone(names []ZoneName, start, end time.Time) string {
	zone, offset := start.Location().String(), utcOffset(start)
	if zone == "UTC" || zone == "Etc/UTC" {
		return "UTC"
	}
	name := zone
	if s := shortName(names, start); s != "" {
		if name = s; shortName(names, end) == "" {
			name = zone
		} else if last := shortName(names, end); last != s {
			name += arrow + last
		}
	}
	if last := utcOffset(end); last != offset {
		offset += arrow + last
	}
	if name == offset {
		return offset
	}
	return name + ",\u00a0" + offset
}

const arrow = "\u00a0→\u00a0"

func shortName(names []ZoneName, t time.Time) string {
	_, seconds := t.Zone()
	for _, n := range names {
		if n.Offset*60 == seconds {
			return n.Name
		}
	}
	return ""
}

// utcOffset is such as UTC+1 or UTC−3:30, with a minus sign: a line may end behind a hyphen.
func utcOffset(t time.Time) string {
	_, seconds := t.Zone()
	sign := "+"
	if seconds < 0 {
		sign, seconds = "−", -seconds
	}
	s := fmt.Sprintf("UTC%s%d", sign, seconds/3600)
	if m := seconds / 60 % 60; m != 0 {
		s += fmt.Sprintf(":%02d", m)
	}
	return s
}
