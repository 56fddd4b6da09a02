//go:build race

package delivery

// simShare is the number of schedules that the tests run under the race detector. Each takes seven times as long there;
// make test runs them without it, too.
const simShare = 200
