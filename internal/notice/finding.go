package notice

import "fmt"

// Level says whether a finding keeps Tocsin from its work.
type Level string

// The levels of findings.
const (
	LevelOK      Level = "ok"
	LevelWarning Level = "warning" // it works, and something about it will hurt one day
	LevelError   Level = "error"   // it does not work, or would break the promise
)

// Finding is one thing that was tried in an installation, with advice. It holds no secret.
type Finding struct {
	Level   Level  `json:"level"`
	Part    string `json:"part"` // of the installation: settings, postgres, redis, hello, from, dkim, or "relay " and its name
	Message string `json:"message"`
	Advice  string `json:"advice"` // the next step for an operator; empty where all is well
}

// Findings are those of one part, in the order in which it was tried.
type Findings []Finding

// OK adds a finding about a thing that is as it should be.
func (f *Findings) OK(format string, args ...any) {
	*f = append(*f, Finding{Level: LevelOK, Message: fmt.Sprintf(format, args...)})
}

// Warning adds a finding about a thing that works and should be otherwise.
func (f *Findings) Warning(advice, format string, args ...any) {
	*f = append(*f, Finding{Level: LevelWarning, Message: fmt.Sprintf(format, args...), Advice: advice})
}

// Error adds a finding about a thing that does not work.
func (f *Findings) Error(advice, format string, args ...any) {
	*f = append(*f, Finding{Level: LevelError, Message: fmt.Sprintf(format, args...), Advice: advice})
}

// Of returns the findings as those of a part.
func (f Findings) Of(part string) Findings {
	for i := range f {
		f[i].Part = part
	}
	return f
}

// Count is the number of findings of a level.
func (f Findings) Count(l Level) (n int) {
	for _, one := range f {
		if one.Level == l {
			n++
		}
	}
	return n
}
