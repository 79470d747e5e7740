package race

// Run is one go test under the race detector.
type Run struct {
	// Only is a pattern of tests, empty for all.
	Only string
	// Packages are paths from the top of the tree; "..." goes below.
	Packages []string
}

// The runs. Each is a test of a package of its own, because go test gives a package
// ten minutes and they may take longer together; [Goroutines] is that of this one.
// Package archtest holds the tree to them: where a package starts a goroutine, a
// run has it, or [Without] says why not.
var (
	// Goroutines are the packages that start goroutines or are called from many.
	// The deterministic packages start none (package archtest holds them to it).
	Goroutines = Run{Packages: []string{
		"./api/...", "./bench/peers", "./bus/...", "./client/handover", "./client/keyring", "./client/remote/...", "./client/vault", "./examples/...",
		"./internal/bench/...", "./internal/demo", "./internal/quota", "./internal/secretmem", "./internal/sim/cmd", "./internal/terminal", "./internal/unixsocket",
		"./internal/world", "./resealtest", "./server/...", "./store/cassandra", "./store/memory", "./store/pebble", "./wrap",
	}}
	// Concurrent are tests of packages that start no goroutine, and say that they may
	// be called from many.
	Concurrent = Run{Only: "^TestConcurrent$", Packages: []string{"./client/password", "./opaque"}}
	// Library is the root package, as apps use it.
	Library = Run{Packages: []string{"."}}
	// Command is the command as an agent and a watch, with others at its home, and as
	// the server of both. What the other scripts do, they do in the same goroutines.
	Command = Run{Only: "TestScripts/^(agent|watch)$", Packages: []string{"./cmd/reseal"}}
	// Owner is the command while homes change hands: handed over, taken over,
	// interrupted, two logins at once.
	Owner = Run{
		Only: "^(TestAgentKilledWhileSending|TestAgentKilledBetweenTakingAndSending|TestAgentKilledWhileOpening|TestAgentKilledAtAQuestion|TestWatchOutlivesTheAgent|" +
			"TestHandedOverAtATerminal|TestInterruptedCommand|TestLoginTwiceAtOnce|TestOwnerSendsBack)$",
		Packages: []string{"./cmd/reseal"},
	}
)

// Runs are all of them.
func Runs() []Run { return []Run{Goroutines, Concurrent, Library, Command, Owner} }

// Without are packages with a goroutine that no run has, and why.
var Without = map[string]string{
	"internal/acmetest":    "has no tests; those of server/certs use it, and they are run",
	"internal/archtest":    "waits for programs that it started, and shares nothing with the goroutine",
	"internal/mutants/run": "has no tests; it starts programs, by hand",
	"internal/testworld":   "has no tests; those of server use it, and they are run",
	"seal":                 "its one goroutine, in a test, reads the memory that is in use",
	"store/storetest":      "has no tests; those of the engines are it, and they are run",
}

// Sequential are tests that replay one goroutine's work over and over (a crash, a
// full disk, a flipped byte, an order of calls at every place), which takes minutes
// under the detector, and those that measure a process's memory, which with the
// detector is another. They are left out by their whole names.
var Sequential = []string{
	"TestConstantMemory",    // client/remote/transfer: measures
	"TestNoKeysAfterLogout", // the root: reads a process's memory
	"TestCrash",             // client/vault, as the next five
	"TestDoubleCrash",
	"TestFlippedVault",
	"TestFull",
	"TestSyncFails",
	"TestTorn",
	"TestEveryOrderOfSendAndCollect",       // server/blob
	"TestSearchFindsEveryFormAtEveryPlace", // internal/demo
	"TestErrorAtEveryWrite",                // store/pebble, as the next two
	"TestPowerLossAtEveryWrite",
	"TestPowerLossInRecovery",
}
