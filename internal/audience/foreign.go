package audience

import (
	"bytes"
	"strings"
)

// signatures are the first bytes of files that are no text, and the advice for such a file.
var signatures = []struct{ begin, reason string }{
	{"PK\x03\x04", "is a workbook (xlsx, ods) or another zip archive, not CSV: save the sheet as CSV UTF-8"},
	{"PK\x05\x06", "is an empty zip archive, not CSV"},
	{"\xd0\xcf\x11\xe0", "is an Excel workbook (xls), not CSV: save the sheet as CSV UTF-8"},
	{"\x1f\x8b", "is compressed with gzip: unpack it first (gunzip)"},
	{"BZh", "is compressed with bzip2: unpack it first (bunzip2)"},
	{"\xfd7zXZ\x00", "is compressed with xz: unpack it first (unxz)"},
	{"\x28\xb5\x2f\xfd", "is compressed with zstd: unpack it first (unzstd)"},
	{"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it first"},
	{"Rar!\x1a\x07", "is a rar archive: unpack it first"},
	{"%PDF-", "is a PDF, not CSV"},
	{"{\\rtf", "is a Rich Text document, not CSV: save it as CSV UTF-8"},
	{"SQLite format 3\x00", "is an SQLite database, not CSV: export the table as CSV"},
	{"PAR1", "is a Parquet file, not CSV: export it as CSV"},
	{"\xff\xfe\x00\x00", "is UTF-32: save it as UTF-8"},
	{"\x00\x00\xfe\xff", "is UTF-32: save it as UTF-8"},
}

// foreign names the kind of a file that begins like this and is no text, "" for one that may be text.
func foreign(begin []byte) string {
	for _, s := range signatures {
		if bytes.HasPrefix(begin, []byte(s.begin)) {
			return s.reason
		}
	}
	if wideText(begin) != "" {
		return ""
	}
	// A row with a stray zero byte is rejected by itself; a file that is full of them is no text.
	if n := bytes.Count(begin, []byte{0}); n > 8 && n > len(begin)/20 {
		return "is not text: it is full of zero bytes"
	}
	return ""
}

// otherText names the kind of a text that begins with this line and is no CSV, "" for one that may be.
func otherText(first string) string {
	first = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(first, "\ufeff")))
	switch {
	case strings.HasPrefix(first, "<?xml"):
		return "is XML, not CSV: save it as CSV UTF-8"
	case strings.HasPrefix(first, "<"):
		return "is an HTML page, not CSV; perhaps the page of a login"
	case strings.HasPrefix(first, "["):
		return "is a JSON array, not CSV; as NDJSON (--format ndjson) write one object a line, without brackets and commas around them"
	case strings.HasPrefix(first, "{"):
		return "is JSON, not CSV; if it has one object a line, say --format ndjson (Content-Type: application/x-ndjson)"
	}
	return ""
}
