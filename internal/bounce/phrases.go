package bounce

import (
	"regexp"
	"strings"
	"sync"

	"tocsin/internal/notice"
)

// pattern is a regular expression that is compiled when it is first needed. All of them take some milliseconds and
// megabytes, which most commands of Tocsin have no use for.
type pattern struct{ compiled func() *regexp.Regexp }

// phrases returns a pattern of any of the expressions, which are written as fold writes text.
func phrases(expressions ...string) pattern {
	return pattern{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(strings.Join(expressions, "|")) })}
}

// in reports whether the text, which comes from fold, holds one of the phrases.
func (p pattern) in(folded string) bool { return p.compiled().MatchString(folded) }

var (
	// linkPattern is a link. Its host may tell something, the words in its path are about other reasons too.
	linkPattern = regexp.MustCompile(`(?i)\bhttps?://([^\s<>")/?#]+)[^\s<>")]*`)
	// inReply is added by mail systems to say which command was answered.
	inReply = regexp.MustCompile(`(?i)\(in\s+reply\s+to[^)]*\)`)
)

// fold returns text for phrases: lower case, one line, without addresses and the paths of links.
func fold(text string) string {
	text = cut(text, maxPhrases)
	text = linkPattern.ReplaceAllString(text, " $1 ")
	text = inReply.ReplaceAllString(withoutAddresses(text), " ")
	text = strings.NewReplacer("’", "'", "‘", "'", "\u00a0", " ").Replace(strings.ToLower(text))
	return strings.Join(strings.Fields(text), " ")
}

// reason is a class and phrases of its replies.
type reason struct {
	class   notice.BounceClass
	phrases pattern
}

// find returns the class of the first of the reasons that has a phrase in the text, "" if there is none.
func find(reasons []reason, folded string) notice.BounceClass {
	for _, r := range reasons {
		if r.phrases.in(folded) {
			return r.class
		}
	}
	return ""
}
