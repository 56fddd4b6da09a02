package delivery

// mutant leaves one rule of the protocol out.
type mutant string

const none mutant = ""

// A mark.
const (
	markWithoutEpoch     mutant = "a mark does not ask for the epoch"
	leaseUnchecked       mutant = "a mark does not ask for the lease"
	markWithoutLock      mutant = "a mark does not lock the chunk"
	markWithoutNotice    mutant = "a mark does not ask for the notice"
	firstAskIgnoresStop  mutant = "a first ask ignores the stopped bit"
	secondAskIgnoresStop mutant = "a second ask ignores the stopped bit"
	markIgnoresSent      mutant = "a mark ignores the sent bit"
	dotBeforeMark        mutant = "the dot does not wait for the mark"
	dotAfterDeadline     mutant = "the dot does not keep the mark's deadline"
	unansweredForgotten  mutant = "a mark that was asked and not answered is forgotten"
	waitsForEver         mutant = "a commit that never returns is waited for"
	unansweredAssumed    mutant = "a commit without an answer is taken for done"
)

// Two relays.
const (
	refusalOfOneFails       mutant = "what one of two relays refuses everybody has failed"
	nextRelayGetsUnanswered mutant = "a mail without an answer goes to the next relay"
)

// An outcome.
const (
	outcomeWithoutLock    mutant = "an outcome does not lock the chunk"
	outcomeWithoutEpoch   mutant = "an outcome settles whatever attempt there is"
	lateWithoutK          mutant = "a late answer does not recount"
	lateNoDotGivesBirth   mutant = "a late no-dot makes a row"
	noDotIsUncertain      mutant = "a failure before the dot is uncertain"
	ringAnsweredAsOne     mutant = "a lost connection makes all its mails uncertain"
	repliesCounted        mutant = "replies are counted, and not matched"
	late250Dropped        mutant = "a late 250 is dropped"
	late250NotOverQueued  mutant = "a late 250 over what is queued is dropped"
	late250NotOverSending mutant = "a late 250 over what is sending is dropped"
	unresolvedIgnored     mutant = "an unresolved attempt is forgotten"
	stoppedIsDeferred     mutant = "a 4xx to what is stopped is tried again"
	uncertainRetried      mutant = "an uncertain outcome is tried again"
	countsAdded           mutant = "counts are added up"
)

// A claim, a close, the sweep.
const (
	takeoverForgets      mutant = "who takes over forgets what was marked"
	takeoverOverOutcomes mutant = "who takes over makes uncertain what has an outcome"
	takeoverOverSent     mutant = "who takes over makes uncertain what has a 250"
	claimForgetsStop     mutant = "a claim does not stop a cancelled notice"
	claimForgetsX        mutant = "a claim does not cancel what is stopped"
	claimForgetsList     mutant = "a claim does not ask the list of suppressions"
	closeWithoutEpoch    mutant = "a close does not ask for the epoch"
	sweepSkipsLeased     mutant = "the sweep skips what is leased"
	sweepSkipsStopped    mutant = "the sweep skips stopped notices"
)

// An operator.
const (
	cancelsOpenMarks         mutant = "what is stopped is cancelled under an open mark"
	cancelWithoutStop        mutant = "a cancel sets no stopped bits"
	cancelWithoutX           mutant = "a cancel does not cancel the rows"
	noGate                   mutant = "a requeue does not wait for the gate"
	requeueWithoutEpoch      mutant = "a requeue does not name the attempt that was looked at"
	requeueNotRefused        mutant = "a requeue does not ask for a later phase"
	requeueSupersedesNothing mutant = "a requeue does not supersede earlier phases"
	laterUnresolvedIgnored   mutant = "a requeue ignores what is unresolved of a later phase"
	reviveUnderLease         mutant = "what was superseded is requeued under a lease"
	laterDoesNotWait         mutant = "a later phase does not wait for open marks"
	cancelledNotSuperseded   mutant = "a later phase does not wait for open marks of a cancelled one"
	stoppedSupersedes        mutant = "what was stopped itself supersedes"
	waitIgnoresSent          mutant = "a later phase does not wait for open marks beside a 250"
	uncertainPassedOver      mutant = "a later phase passes over what is uncertain"
	lateNoticeNotSuperseded  mutant = "a notice that leaves late does not ask which later ones have begun"
	onlyOwedSupersedes       mutant = "what a later notice may have sent does not supersede"
	phaseAloneTells          mutant = "the phase alone tells which notice is the later"
	followsWithoutNote       mutant = "a promoted standby is followed though no commit waited for it"
	followsLaterTimeline     mutant = "a promoted standby is followed over more than one timeline"
	followsOtherSystem       mutant = "another server is followed"
	followsLessMarks         mutant = "a promoted standby is followed that lacks marks"
	fenceAtStartOnly         mutant = "a restore is looked for at the start alone"
)

// A report that came back, and the list of suppressions.
const (
	bounceOfAnyAttempt    mutant = "a bounce ends whatever attempt there is"
	bounceOfAnsweredFirst mutant = "a bounce of what was answered first ends what is under way again"
	bounceLeavesUncertain mutant = "a bounce of what is uncertain changes nothing"
	bounceOverOwed        mutant = "a bounce ends what is owed"
	bounceReopens         mutant = "a bounce has a mail owed again"
	bounceTakes250Back    mutant = "a bounce takes the 250 back"
	bounceWithoutK        mutant = "a bounce does not recount"
	bounceWithoutLock     mutant = "a bounce does not lock the chunk"
	deliveryUnsettles     mutant = "what the recipient's server took is of no attempt"
	reportKeptTwice       mutant = "a report that came before is recorded again"
	olderReportForgotten  mutant = "a report about an older attempt is not kept"
	policySuppresses      mutant = "a refusal by policy suppresses its mailbox"
	scopeIgnored          mutant = "an entry for what is not urgent stops urgent mails"
	scopeCoversNothing    mutant = "an entry for what is not urgent stops nothing"
)

// A hold, and a notice with an audience that is resolved when it leaves.
const (
	markIgnoresHolds   mutant = "a mark does not ask for holds"
	holdOutlivesItsEnd mutant = "what a hold has held stays so after its end"
	leavesAgain        mutant = "a notice that has left leaves again"
)

// The brake.
const (
	putsNothingBack     mutant = "a resume forgets the row of refusals"
	resumeLiftsTheFence mutant = "a resume lets go of what a restore holds"
)

// A plan.
const (
	keyDropped              mutant = "a mailbox is owed more than once"
	slicedByCustomer        mutant = "slices are by customer"
	freezeWithoutLock       mutant = "a freeze does not keep erasures waiting"
	freezeInTwo             mutant = "a freeze is two transactions"
	eraseWithoutLock        mutant = "an erasure does not lock the plan"
	eraseOnlyReleased       mutant = "an erasure looks at released plans alone"
	eraseForgottenAtRelease mutant = "a release does not settle what was erased"
	releaseWithoutLock      mutant = "a release does not lock notice and plan"
	releaseIgnoresPlan      mutant = "a release does not ask for the plan's state"
	releaseIgnoresBody      mutant = "a release does not ask for the body"
	collectorDeletesFirst   mutant = "a plan's rows go before it is dropped"
	erasedKeepsMail         mutant = "a mailbox of which a customer was erased keeps the mail of all"
	suppressForgetsReleased mutant = "a suppression does not stop what is released"
)

// A notice that is taken back.
const (
	takesBackWhatBegan       mutant = "what has begun is taken back"
	takesBackWhatMayHaveLeft mutant = "what may have left is taken back"
	takenBackKeepsOutcomes   mutant = "what is taken back keeps its outcomes"
)

// Reminders.
const (
	remindersOutliveTheEnd      mutant = "reminders go on after the maintenance has ended"
	remindersOutliveTheirNotice mutant = "reminders go on after their notice was cancelled"
	reminderIgnoresWindow       mutant = "a reminder leaves after its window has begun"
	remindersMadeApart          mutant = "reminders are made after the release"
)

// A row that is added to a released notice.
const (
	addedTwice             mutant = "an addition does not ask whether the mailbox has a row"
	addInTwo               mutant = "an addition is two transactions"
	addWithoutLock         mutant = "an addition does not keep erasures waiting"
	eraseForgetsAdded      mutant = "an erasure leaves added rows"
	erasedMailboxForgotten mutant = "an addition does not know the mailboxes of erased rows"
	addedIgnoresList       mutant = "an addition does not ask the list of suppressions"
	addedIsOldNews         mutant = "an addition does not ask for a later phase"
	addedSupersedesNothing mutant = "an addition does not supersede earlier phases"
	addedToFinished        mutant = "an addition does not have a finished notice sent again"
)

// A migration.
const (
	migrationForgets  mutant = "a migration forgets what is unresolved of a row without an epoch"
	migrationRequeues mutant = "a migration has sent again what was marked"
	oldWorkersGoOn    mutant = "a worker of the version before still finds its tables"
)

// mutants are all that the simulation must catch. Some rules are not among them, since nothing that the worker does
// needs them. A close leaves the dots bits. A bit which is set is not given twice: the worker asks once, and then says
// that it asks again. A requeue looks at the sent bit: an operator sees the view, which shows it. Others are not of
// this layer: the proof that a Message-ID gives, and the mirror of the marks.
var mutants = []mutant{
	markWithoutEpoch, leaseUnchecked, markWithoutLock, markWithoutNotice, firstAskIgnoresStop, secondAskIgnoresStop, markIgnoresSent,
	dotBeforeMark, dotAfterDeadline, unansweredForgotten, unansweredAssumed, waitsForEver, refusalOfOneFails, nextRelayGetsUnanswered,
	outcomeWithoutLock, outcomeWithoutEpoch, lateWithoutK, lateNoDotGivesBirth, noDotIsUncertain, ringAnsweredAsOne, repliesCounted, late250Dropped,
	late250NotOverQueued, late250NotOverSending, unresolvedIgnored, stoppedIsDeferred, uncertainRetried, countsAdded,
	takeoverForgets, takeoverOverOutcomes, takeoverOverSent, claimForgetsStop, claimForgetsX, claimForgetsList, closeWithoutEpoch,
	sweepSkipsLeased, sweepSkipsStopped,
	cancelsOpenMarks, cancelWithoutStop, cancelWithoutX, noGate, requeueWithoutEpoch, requeueNotRefused, requeueSupersedesNothing,
	laterUnresolvedIgnored, reviveUnderLease, laterDoesNotWait, waitIgnoresSent, uncertainPassedOver, stoppedSupersedes, cancelledNotSuperseded,
	lateNoticeNotSuperseded, onlyOwedSupersedes, phaseAloneTells, fenceAtStartOnly,
	followsWithoutNote, followsLaterTimeline, followsOtherSystem, followsLessMarks,
	bounceOfAnyAttempt, bounceOfAnsweredFirst, bounceLeavesUncertain, bounceOverOwed, bounceReopens, bounceTakes250Back, bounceWithoutK, bounceWithoutLock,
	deliveryUnsettles, reportKeptTwice, olderReportForgotten, policySuppresses, scopeIgnored, scopeCoversNothing,
	markIgnoresHolds, holdOutlivesItsEnd, leavesAgain, putsNothingBack, resumeLiftsTheFence,
	keyDropped, slicedByCustomer, freezeWithoutLock, freezeInTwo, eraseWithoutLock, eraseOnlyReleased, eraseForgottenAtRelease,
	releaseWithoutLock, releaseIgnoresPlan, releaseIgnoresBody, collectorDeletesFirst, suppressForgetsReleased, erasedKeepsMail,
	takesBackWhatBegan, takesBackWhatMayHaveLeft, takenBackKeepsOutcomes,
	remindersOutliveTheEnd, remindersOutliveTheirNotice, reminderIgnoresWindow, remindersMadeApart,
	addedTwice, addInTwo, addWithoutLock, eraseForgetsAdded, erasedMailboxForgotten, addedIgnoresList, addedIsOldNews, addedSupersedesNothing, addedToFinished,
	migrationForgets, migrationRequeues, oldWorkersGoOn,
	amendStopsNothing, amendInTwo, amendTwice, amendForgetsSending, amendForgetsLost, amendForgetsEarlier, amendReadsLate, amendLooksAtLastAlone,
	amendDoesNotWait, amendMailsSuppressed, amendMailsErased, amendLeavesReminders, amendIgnoresRows, eraseLooksOnce,
	canaryIgnored, canaryGoesOn, pauseEndsCanary, canaryHoldIsLost, unholdEndsCanary,
}

// caughtBy is the seed of a schedule that catches each.
var caughtBy = map[mutant]uint64{
	markWithoutEpoch: 18, leaseUnchecked: 1, markWithoutLock: 111, markWithoutNotice: 132, firstAskIgnoresStop: 125,
	unansweredAssumed: 1, secondAskIgnoresStop: 241, dotAfterDeadline: 3, unansweredForgotten: 105, outcomeWithoutLock: 425,
	outcomeWithoutEpoch: 16, lateWithoutK: 115, lateNoDotGivesBirth: 3649, noDotIsUncertain: 6, ringAnsweredAsOne: 25,
	late250Dropped: 128, stoppedIsDeferred: 1, uncertainRetried: 8, takeoverForgets: 10, takeoverOverOutcomes: 6,
	takeoverOverSent: 3, claimForgetsStop: 77, closeWithoutEpoch: 16, sweepSkipsLeased: 1, sweepSkipsStopped: 5,
	cancelsOpenMarks: 197, cancelWithoutStop: 9, cancelWithoutX: 17, noGate: 4516, requeueNotRefused: 57,
	requeueSupersedesNothing: 421, fenceAtStartOnly: 19, keyDropped: 1, slicedByCustomer: 1, freezeWithoutLock: 210,
	freezeInTwo: 50, eraseWithoutLock: 4062, eraseOnlyReleased: 50, eraseForgottenAtRelease: 1717, releaseWithoutLock: 8,
	releaseIgnoresPlan: 333, releaseIgnoresBody: 750, collectorDeletesFirst: 5726, suppressForgetsReleased: 314,
	holdOutlivesItsEnd: 4, markIgnoresHolds: 527, countsAdded: 1, nextRelayGetsUnanswered: 10, refusalOfOneFails: 16, waitsForEver: 252,
	migrationRequeues: 171, oldWorkersGoOn: 347, repliesCounted: 306, claimForgetsX: 58, claimForgetsList: 37, putsNothingBack: 13, erasedKeepsMail: 138,
	scopeCoversNothing: 46, scopeIgnored: 20, policySuppresses: 3, reportKeptTwice: 220, deliveryUnsettles: 284,
	bounceLeavesUncertain: 30, bounceOverOwed: 150, bounceReopens: 3, bounceTakes250Back: 45, bounceWithoutK: 30,
	canaryIgnored: 4, canaryGoesOn: 64, pauseEndsCanary: 94, canaryHoldIsLost: 304,
}
