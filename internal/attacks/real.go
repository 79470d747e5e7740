package attacks

// real are attacks on what the world does not have: the login, the vault, blobs
// and the connection. A proxy in front of a real server plays them.
var real = Group{"Logins, blobs and connections, at a real server", []Attack{
	at("capsule-altered", malleable, wrongServer, "lyinglogin_test.go TestLoginAtALyingServer/altered capsule"),
	at("capsule-cut", malleable, wrongServer, "lyinglogin_test.go TestLoginAtALyingServer/cut capsule"),
	at("capsule-withheld", "suppression", wrongServer, "lyinglogin_test.go TestLoginAtALyingServer/no capsule"),
	at("capsule-of-another-account", mixup, wrongServer, "lyinglogin_test.go TestLoginAtALyingServer/somebody's capsule"),
	at("login-of-another-account", mixup, wrongServer, "lyinglogin_test.go TestLoginAtALyingServer/somebody's everything"),
	at("capsule-of-a-newer-format", "downgrade and confusion of formats", newerProgram, "lyinglogin_test.go TestLoginAtALyingServer/newer capsule"),
	at("login-list-altered", malleable, wrongServer, "lyinglogin_test.go TestLoginAtALyingServer/altered list"),
	at("login-list-older", "rollback at the login, when a device knows nothing yet", wrongServer+": the capsule says how far the list was", "lyinglogin_test.go TestLoginAtALyingServer/older list"),
	at("login-list-of-another-account", mixup, wrongServer, "lyinglogin_test.go TestLoginAtALyingServer/somebody's list"),
	at("login-list-withheld", "suppression", wrongServer, "lyinglogin_test.go TestLoginAtALyingServer/no list"),
	at("login-list-of-a-newer-format", "downgrade and confusion of formats", newerProgram, "lyinglogin_test.go TestLoginAtALyingServer/newer list"),
	at("opaque-answer-altered", "a server without the account's record (RFC 9807, section 10)", "the login fails as with a wrong password, and changes nothing here", "lyinglogin_test.go TestLoginAtALyingServer/altered KE2"),
	at("opaque-answer-cut", malleable, "the login fails as with a wrong password, and changes nothing here", "lyinglogin_test.go TestLoginAtALyingServer/cut KE2"),
	at("login-book-altered", malleable, wrongServer, "lyinglogin_test.go TestLoginAtALyingServer/altered book"),
	at("login-book-older", "rollback", wrongServer, "lyinglogin_test.go TestLoginAtALyingServer/older book"),
	at("login-book-withheld", "suppression", wrongServer, "lyinglogin_test.go TestLoginAtALyingServer/no book"),
	at("session-share-cut", malleable, wrongServer, "lyinglogin_test.go TestLoginAtALyingServer/short session share"),
	at("epoch-challenge-cut", malleable, wrongServer, "lyinglogin_test.go TestLoginAtALyingServer/challenge"),
	at("lookup-list-altered", malleable, notSent, "lyinglogin_test.go TestLyingDirectory/altered list"),
	at("lookup-version-altered", malleable, notSent, "lyinglogin_test.go TestLyingDirectory/altered version"),
	at("lookup-list-cut", malleable, notSent, "lyinglogin_test.go TestLyingDirectory/cut list"),
	at("lookup-list-withheld", "suppression", notSent, "lyinglogin_test.go TestLyingDirectory/no list"),
	at("lookup-list-of-another-account", mixup, notSent, "lyinglogin_test.go TestLyingDirectory/somebody's list"),
	at("lookup-handle-exchanged", "wrong keys for a name", notSent, "lyinglogin_test.go TestLyingDirectory/another handle"),
	at("lookup-account-exchanged", "wrong keys for a name that is pinned", "nothing is sent to anybody, and the error says that the name is another account's now", "lyinglogin_test.go TestLyingDirectory/somebody's account"),
	at("inline-altered", malleable, notShown, "lying_test.go TestAlteredMessageShowsNothingAndOpensLater/inline"),
	at("inline-cut", "truncation", notShown, "lying_test.go TestAlteredMessageShowsNothingAndOpensLater/inline cut"),
	at("segment-list-altered", malleable, notShown, "lying_test.go TestAlteredMessageShowsNothingAndOpensLater/segments"),
	at("content-substituted-by-a-co-recipient", "invisible salamanders, end to end: recipient and server together against another recipient", notShown, "views_test.go TestRecipientAndServerAgainstAnother"),
	at("thief-with-password-and-server", "somebody who knows password and capsule, helped by the server, against the owner with the recovery code", "the owner rotates and is in; the thief is out and stays out", "thief_test.go TestThiefAndLyingServer"),
	at("wrong-server", "another server under the same address", "told by name to who is logged in; shown no session, the login goes on when the right one is back", "which_test.go TestAnotherServer"),
	at("connection-noise", "a server that breaks the protocol", hangsUp, "api/mux/dial_test.go TestLyingServer/noise"),
	at("connection-answers-to-no-call", "a server that breaks the protocol", hangsUp, "api/mux/dial_test.go TestLyingServer/message for no call"),
	at("connection-two-answers", "a server that breaks the protocol", hangsUp, "api/mux/dial_test.go TestLyingServer/two answers"),
	at("connection-malformed-end", "a server that breaks the protocol", hangsUp, "api/mux/dial_test.go TestLyingServer/malformed end"),
	at("connection-over-the-window", "exhaustion of a client's memory", hangsUp, "api/mux/dial_test.go TestLyingServer/over the window"),
}}

const (
	wrongServer  = "refused as the server's fault; the password is not blamed, nobody is logged in, what is sealed here stays and opens at the next login"
	newerProgram = "refused with the word that an update is needed"
	notSent      = "nothing is sent to anybody, and the error says that the server is wrong"
	notShown     = "nothing of it is shown; the true one opens"
	hangsUp      = "the whole connection ends as broken by the server; the program goes on"
)

func at(name, models, must, test string) Attack {
	return Attack{Name: name, Models: models, Must: must, Test: test}
}
