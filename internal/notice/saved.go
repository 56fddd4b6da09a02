package notice

import "time"

// SavedDraft is a directory of a notice that is being written in the console. It is no notice yet.
type SavedDraft struct {
	Number    int64
	Version   int // it grows with each change
	CreatedBy string
	ChangedBy string
	CreatedAt time.Time
	ChangedAt time.Time
	// Files are notice.yaml and its texts, by name; in a list of drafts notice.yaml alone.
	Files map[string][]byte
}
