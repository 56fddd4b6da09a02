package delivery

// mutant leaves one rule of the protocol out.
type mutant string

const (
	none              mutant = ""
	dotBeforeMark     mutant = "the dot does not wait for the mark"
	ackAssumed        mutant = "a commit without an answer is taken for done"
	noEpoch           mutant = "an outcome settles whatever attempt there is"
	counterForEpoch   mutant = "an outcome names its attempt by a counter"
	uncertainRetried  mutant = "an uncertain outcome is tried again"
	takeoverRetries   mutant = "who takes over tries again what was marked"
	takeoverForgets   mutant = "who takes over leaves marks as they are"
	leaseUnchecked    mutant = "a mark does not ask for the lease"
	noLock            mutant = "a commit does not lock the chunk"
	stateUnchecked    mutant = "a mark does not ask for the delivery's state"
	noGate            mutant = "a requeue does not wait for the gate"
	sweepSkipsSending mutant = "the sweep skips what is only marked"
	sweepSkipsStopped mutant = "the sweep skips stopped notices"
	staysClosed       mutant = "a late answer does not reopen"
	cancelOnce        mutant = "a cancel looks once"
	countsAdded       mutant = "counts are added up"
	keyDropped        mutant = "a mailbox is owed more than once"
	slicedByCustomer  mutant = "slices are by customer"
)

// mutants are all of them. Two of the protocol's are not of this layer: what a Message-ID proves, and when the fence
// against a restored ledger is looked at.
var mutants = []mutant{dotBeforeMark, ackAssumed, noEpoch, counterForEpoch, uncertainRetried, takeoverRetries, takeoverForgets,
	leaseUnchecked, noLock, stateUnchecked, noGate, sweepSkipsSending, sweepSkipsStopped, staysClosed, cancelOnce, countsAdded,
	keyDropped, slicedByCustomer}
