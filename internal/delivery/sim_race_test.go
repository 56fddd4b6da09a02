//go:build race

package delivery

// simShare is how many schedules the tests go through under the race detector, where each takes seven times as long; make test runs
// them without it, too.
const simShare = 200
