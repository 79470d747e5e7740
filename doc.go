// Package reseal is end-to-end encryption for apps whose users log in and out,
// change phones and share devices. The account is what people talk to; private
// keys live on devices only; when somebody signs in anywhere, what is waiting
// for them opens within seconds.
//
// # Five calls
//
//	in, err := reseal.Open(dir, reseal.Options{Server: url}) // this installation
//	me, code, err := in.SignUp(ctx, "ana", password)         // or in.LogIn
//	sent, err := me.Send(ctx, reseal.Outgoing{To: []string{"ben"}, Text: "hello"})
//	inbox, err := me.Inbox(ctx, reseal.InboxOptions{})
//	err = me.Open(ctx, inbox[0].ID, func(c reseal.Content) error { ... }, nil)
//
// The examples of this package run as tests. Two small apps are in the folder
// examples: a photo drop for the terminal, and a bot that answers.
//
// # Installations and accounts
//
// An [Installation] is one folder, owned by one process at a time. Several
// accounts may be logged in at it, each with its own connection, messages and
// events. An [Account] keeps itself connected: it receives, answers the retry
// requests of others, asks for keys that it lacks, and carries on with what was
// interrupted, until it is logged out or the installation is closed.
//
// [Installation.Close] ends a process, and [Installation.Resume] at the next
// start opens whoever was logged in, without a password. Half of the key to that
// is at the server: without a connection Resume fails with [ErrOffline], and
// nothing of the folder can be read. An account that is open keeps its inbox
// without one, and what it fetched before of kept messages.
// [Account.LogOut] ends a login: afterwards nothing here opens without the
// password. The device stays, and the next login at this installation finds it
// with all it had.
//
// # Messages
//
// A message goes to an account and waits there for 30 days at most. A [Once]
// message ends everywhere with its first view; a [Keep] message stays readable on
// every device of the account until it expires or is unsent. A message that has
// no key for this device yet is [StateWaiting]: devices that have the key are
// asked, and it becomes [StateReady]. An app shows that, and has nothing to do.
// A message from somebody who is no contact yet is marked [Message.Stranger];
// [Account.Accept], [Account.Refuse] and [Account.Block] are for the user to
// choose from.
//
// Show what is in [Content] inside the function given to [Account.Open], or store
// it there: when that returns nil, a once message is gone. Names and media types
// in it are what the sender wrote.
//
// # Events
//
// [Account.Events] tells what happens, for as long as one ranges over it; every
// call is a sequence of its own, for one loop. Nothing is lost by not listening:
// [Account.Inbox], [Account.Contacts] and [Account.Devices] have the present
// state. What an app does on which:
//
//   - [KindMessage], [KindReady], [KindEnded]: draw the inbox anew.
//   - [KindReceipt], [KindStored], [KindNotSent]: draw the message sent anew.
//   - [KindConnected], [KindDisconnected], [KindCaughtUp]: show whether the
//     account is connected, and has read what waited.
//   - [KindAlarm], [KindClosed]: warn, at the contact. [KindListChanged] with
//     Own set, and [KindAccount]: tell the user, who may not have done it.
//   - [KindSessionEnded], [KindRemoved]: the account is closed here, or about to
//     be. Show the login.
//   - [KindSetting]: read [Account.Settings] anew.
//   - [KindTrouble]: something failed that no call waits for, a full disk say;
//     Err, where it is set, is one of the errors below.
//   - [KindAnswered], [KindGranted], [KindDenied]: of interest to the curious.
//
// # Errors, by what to do
//
// Test them with errors.Is and errors.As. Nothing in an error is secret. Other
// errors than these are of the file system, of the context, or faults; show
// their text.
//
// Ask for other input:
//
//   - [ErrLogin], [ErrRecoveryCode]: wrong, or nobody has the handle; nobody is
//     told which. [ErrSamePassword] wants another one, and [WeakPasswordError]
//     says what would be better.
//   - [ErrHandle], [ErrHandleTaken]: another handle. [ErrSignupClosed]: another
//     server. [ErrInvite]: the code of an invite, or another one.
//     [ErrSettingName]: another name for a setting.
//   - [UnknownAccountError], [ErrUnknownMessage], [ErrUnknownDevice]: there is no
//     such thing (any more). [ErrAmbiguous]: more of the id.
//   - [ErrTooLarge], as [LimitError] with the limit's name: less.
//   - [QuotaError]: later; it names the quota and says when.
//   - [ErrLastDevice]: close the account instead.
//   - [ErrResetCode]: mistyped, or cancelled: the server's operator knows.
//   - [ErrNoReset]: it was cancelled, or another device asked; [Account.AskReset].
//
// Try again later; nothing has changed:
//
//   - [ErrOffline]: wait for [KindConnected]. [ErrNotReseal]: a hotel's login
//     page, or a wrong address. [ErrOtherServer]: the address leads to another
//     server, of which nothing was taken. [ErrPlainHTTP]: its https address.
//   - [RateError]: not before After. [ErrServerFull]: in minutes; with
//     [Outgoing.Queue] sending waits by itself.
//   - [ErrClaimed]: another device shows it now, and it ends soon.
//   - [ErrWaiting]: at [KindReady].
//   - [ErrBusy]: another process has the folder.
//   - [NotDueError]: a reset that was announced; not before After.
//
// Tell the user how it stands:
//
//   - [EndedError]: the message was viewed, unsent, or has expired.
//   - [ErrUpdate], [ErrNewer]: the app is too old for this.
//   - [ErrNotAtServer]: the server has forgotten the message; its sender can send
//     it again.
//   - [ErrCutOff]: the content comes off short each time; another network, or the
//     server's operator, may help.
//   - [ErrAltered], [ErrGone]: the content cannot be had. [ErrCopy]: the recovery
//     code cannot bring the account back to a session that is lost.
//   - [ErrBookFull]: what was decided about a contact is known on this device only.
//   - [ErrNotShown]: the function given to Open did not read to the end. The
//     message is still there.
//
// Let the user decide:
//
//   - [ErrAlarm], [RenamedError]: somebody may be in between. The contact's state
//     and safety number help; [Account.Verify], [Account.Trust]. [ErrKeyChanged]:
//     show the contact anew, it is another key by now.
//   - [ErrNoStranger]: the account is a contact; [Account.Block] is there for it.
//   - [ErrNoRoom], [ErrStrangers]: what comes stays at the server until messages
//     are opened, or strangers accepted or blocked.
//   - [ErrHeld], [ErrBlocked]: until the contact is trusted, or not blocked any
//     more.
//   - [ErrServer]: the server lies, or is broken; to go on with it is no use.
//
// Show the login:
//
//   - [ErrSessionEnded], [ErrNotLoggedIn]. [ErrSessionRecord]: after
//     [Installation.Forget]. [ErrRemoved]: this device is out of the account.
//   - [ErrUncertain]: it is not known whether the change happened; the login
//     shows which password works.
//
// Let the user mend the machine:
//
//   - [ErrFull]: room on the disk. What was stored before is intact.
//   - [ErrClock], as [ClockError] with the difference: the time.
//   - [ErrDamaged]: names the file; put it back from a backup, or move it away.
//
// Mend the app: [ErrClosed], [ErrLoggedIn]. [AccountError] says which of several
// accounts an error is about.
//
// # Figures
//
// [Account.Figures] tells how well the device is served since it was made: how
// many messages needed a retry and by whom it was answered, in what time they
// became readable, how many were lost. docs/figures.md defines each.
// [Account.Counters] has everything else that is counted. None of it leaves the
// device by itself.
//
// # Threads
//
// Installation and Account may be used from many goroutines. Calls that wait for
// the server take a context; its end stops the waiting, not what was taken on
// durably: a message that the server may have got is not taken back. The function
// given to [Account.Open] runs in the caller's goroutine and may use the account.
// [Outgoing.Progress] is called by one goroutine at a time, which need not be the
// caller's. A consumer of events that falls more than 4096 behind loses the
// oldest; nothing waits for it.
//
// # On a phone, in the background
//
// An app may be killed between any two instructions: what a call reported as
// done is on the disk or at the server, and what was under way goes on after
// Resume, uploads from the last part that the server has.
//
// Going to the background, leave the installation open if the system lets the
// process live; its keys are then in its memory. Close it to have them out of
// there, at the price of needing the server to come back. Coming to the front, or
// when the network is back, call [Account.Wake]: the next try to connect may be a
// minute away, and a connection that died in silence is noticed by itself after 35
// seconds at most. In a time slice that the system grants, do
//
//	me.Wake()
//	err := me.Online(ctx) // everything that waited is here
//	err = me.Settle(ctx)  // everything that was to be told is told
//
// which also answers others who wait for a key. This version has no push: what
// comes while the process sleeps is found at the next connection.
//
// # Testing an app
//
// Package resealtest starts a real server inside a test, without a port, and
// phones that are cut off, slowed, logged out, hopped, or lied to in one line
// each.
package reseal
