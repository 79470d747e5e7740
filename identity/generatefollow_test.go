package identity

import (
	"encoding/hex"
)

func followScenarios() (out []scenario) {
	add := func(name, outcome, comment string, pin *SignedList, lists ...*SignedList) {
		s := scenario{Name: "follow-" + name, Comment: comment, Entry: "follow", Outcome: outcome, List: hex.EncodeToString(pin.Bytes())}
		for _, l := range lists {
			s.Lists = append(s.Lists, hex.EncodeToString(l.Bytes()))
		}
		if outcome == "ok" {
			s.Hash, s.ListVersion = pin.Hash().String(), pin.List.Version
			if len(lists) > 0 {
				last := lists[len(lists)-1]
				s.Hash, s.ListVersion = last.Hash().String(), last.List.Version
			}
		}
		out = append(out, s)
	}
	h := newHistory()
	v1, v2, v3, v4, v5 := h.last(), h.add(2), h.add(3), h.rotate(), h.add(4)
	v6, v7 := h.rotate(), h.add(5)
	add("nothing", "ok", "no list: the pin stays", v1)
	add("same", "ok", "the pinned list again", v2, v2)
	add("next", "ok", "the direct successor", v1, v2)
	add("jump", "ok", "two versions on, under the same key", v1, v3)
	add("rotation", "ok", "the signed succession", v3, v4)
	add("rotation-jump", "ok", "the signed succession, from a list before the last one of the old key", v1, v4)
	add("rotation-then-list", "ok", "the succession, then the newest list", v3, v4, v5)
	add("two-rotations", "ok", "two successions, then the newest list; the lists between are not needed", v2, v4, v6, v7)
	add("older", "older", "a version below the pinned one", v3, v2)
	add("older-than-rotation", "older", "the last list of the old key, after the succession", v4, v3)
	add("rotation-missing", "key changed", "a list of the new key without the succession before it", v3, v5)
	add("second-rotation-missing", "key changed", "the first of two successions is missing", v3, v6)

	// What somebody does who has the account key, or plays it.
	sign := func(l DeviceList, n int) *SignedList { return must(SignList(l, aliceKey(n))) }
	thief := accountKey("thief")
	base := func(l *SignedList) DeviceList { return l.successor(l.List.IssuedAt + 9) }

	fork := v2.List
	fork.IssuedAt++
	add("fork", "fork", "another list of the pinned version", v2, sign(fork, 0))
	branch := base(sign(fork, 0))
	add("fork-before", "fork", "the direct successor of another list of the pinned version", v2, sign(branch, 0))
	reset := base(v3)
	reset.Key, reset.Next = thief.Public(), accountKey("thief next").Public().Next()
	add("reset", "key changed", "another key that nobody handed over to", v3, must(SignList(reset, thief)))
	next := base(v3)
	next.Next = thief.Public().Next()
	add("next-changed", "next changed", "the account key was stolen: it commits to another successor", v3, sign(next, 0))
	jump := base(must(SignList(next, aliceKey(0))))
	add("next-changed-jump", "next changed", "the same, found two versions on", v3, sign(jump, 0))
	add("second-succession", "second succession", "the account key was stolen: it hands over to a key that it did not commit to", v3, must(SignRotation(reset, aliceKey(0), thief)))
	again := base(v4)
	add("succession-again", "second succession", "handed over to the pinned key a second time", v4, must(SignRotation(again, aliceKey(0), aliceKey(1))))
	stolen := base(v4)
	stolen.Key, stolen.Next = thief.Public(), accountKey("thief next").Public().Next()
	add("old-key-hands-over", "key changed", "a key that was left hands over to another", v4, must(SignRotation(stolen, aliceKey(0), thief)))
	rotationFork := base(v2)
	rotationFork.Key, rotationFork.Next = v4.List.Key, v4.List.Next
	add("rotation-fork", "fork", "the committed next key, but not after the pinned list", must(SignList(sameVersion(v2), aliceKey(0))), must(SignRotation(rotationFork, aliceKey(0), aliceKey(1))))
	bob := FirstList(account("bob"), accountKey("bob").Public(), accountKey("bob next").Public().Next(), device(1), start)
	add("other-account", "other account", "a list of another account", v1, must(SignList(bob, accountKey("bob"))))
	add("chain-broken", "fork", "a good list, then a bad one: nothing is followed", v1, v2, sign(must(AddDevice(must(SignList(fork, aliceKey(0))), device(7), start)), 0))
	return out
}

// sameVersion is another list at the place of l.
func sameVersion(l *SignedList) DeviceList {
	out := l.List
	out.IssuedAt += 5
	return out
}

func successorScenarios() (out []scenario) {
	add := func(name, outcome, comment string, a, b Certificate, keyA, keyB string) {
		x, y := must(SignCertificate(a, deviceKey(keyA))), must(SignCertificate(b, deviceKey(keyB)))
		out = append(out, scenario{Name: "successor-" + name, Comment: comment, Entry: "successor", Outcome: outcome,
			Certs: []string{hex.EncodeToString(x.Bytes()), hex.EncodeToString(y.Bytes())}})
	}
	one, two := certificate(1, 1), certificate(1, 2)
	up := two
	up.MaxVersion = 3
	add("next", "ok", "the next epoch", one, two, "1", "1")
	add("jump", "ok", "an epoch further on", one, certificate(1, 9), "1", "1")
	add("same", "ok", "the same certificate again", one, one, "1", "1")
	add("version-raised", "ok", "the device was updated", one, up, "1", "1")
	add("older", "older", "a lower epoch", two, one, "1", "1")
	fork := one
	fork.Key = two.Key
	add("fork", "fork", "another certificate of the same epoch", one, fork, "1", "1")
	three := certificate(1, 3)
	add("version-fell", "version fell", "the highest record version is lower than before", up, three, "1", "1")
	kem, auth := two, two
	kem.Key, auth.Auth = one.Key, one.Auth
	add("kem-key-kept", "unusable key", "the epoch key of the epoch before", one, kem, "1", "1")
	add("auth-key-kept", "unusable key", "the auth key of the epoch before", one, auth, "1", "1")
	add("other-device", "other account", "a certificate of another device", one, certificate(2, 2), "1", "2")
	return out
}

func otherScenarios() (out []scenario) {
	number := func(name, comment string, a, b Party) {
		out = append(out, scenario{Name: "safety-number-" + name, Comment: comment, Entry: "safety-number", Outcome: "ok", Values: map[string]string{
			"a_id": a.ID.String(), "a_key": hex.EncodeToString(a.Key[:]),
			"b_id": b.ID.String(), "b_key": hex.EncodeToString(b.Key[:]),
			"number": SafetyNumber(a, b),
		}})
	}
	alice := Party{account("alice"), aliceKey(0).Public()}
	bob := Party{account("bob"), accountKey("bob").Public()}
	number("two-accounts", "two accounts", alice, bob)
	number("other-account-id", "the same keys under another account id: another number", Party{account("carol"), alice.Key}, bob)
	number("after-rotation", "after a rotation of the first: another number", Party{alice.ID, aliceKey(1).Public()}, bob)

	for name, code := range map[string][16]byte{"zero": {}, "counting": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}} {
		k := NextAccountKey(code)
		p := k.Public()
		out = append(out, scenario{Name: "next-key-" + name, Comment: "the account key that a recovery code stands for", Entry: "next-key", Outcome: "ok", Values: map[string]string{
			"code": hex.EncodeToString(code[:]), "seed": hex.EncodeToString(k.Seed()), "public": hex.EncodeToString(p[:]), "next": p.Next().String(),
		}})
	}

	signature := func(name, outcome, comment string, pub [32]byte, record string, body []byte, sig Signature) {
		out = append(out, scenario{Name: "signature-" + name, Comment: comment, Entry: "signature", Outcome: outcome, Bytes: hex.EncodeToString(body), Values: map[string]string{
			"public": hex.EncodeToString(pub[:]), "name": record, "signature": hex.EncodeToString(sig[:]),
		}})
	}
	k := aliceKey(0)
	body := []byte("body")
	sig := k.Sign("example", body)
	pub := [32]byte(k.Public())
	signature("good", "ok", "signed input: \"reseal/1 example\", a zero byte, the body", pub, "example", body, sig)
	signature("empty-body", "ok", "a body without bytes", pub, "example", nil, k.Sign("example", nil))
	signature("other-name", "signature", "the name is part of what is signed", pub, "exampl", append([]byte("e"), body...), sig)
	signature("other-body", "signature", "another body", pub, "example", []byte("bodi"), sig)
	signature("s-too-high", "signature", "S is raised by the group order", pub, "example", body, plusL(sig))
	signature("small-order-key", "signature", "verifies under plain Ed25519 for every body", identityPoint, "example", body, universalSignature())
	return out
}
