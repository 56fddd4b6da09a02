package notice

import "strings"

// longestName bounds the names that Closest looks at, as its time grows with the square of their length.
const longestName = 100

// Closest returns the name among known that a misspelt one was probably meant to be, "" for none: it is at most a third
// of its letters away, whatever their case.
func Closest(name string, known []string) string {
	if len(name) > longestName {
		return ""
	}
	best, found := max(1, len(name)/3)+1, ""
	for _, k := range known {
		if d := EditDistance(strings.ToLower(name), strings.ToLower(k)); d < best {
			best, found = d, k
		}
	}
	return found
}

// EditDistance counts the insertions, deletions, replacements and swaps of neighbours between a and b.
func EditDistance(a, b string) int {
	older, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], older[j-2]+1)
			}
		}
		older, row = row, next
	}
	return row[len(b)]
}
