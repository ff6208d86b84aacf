/*
 * The protocol that passes the writer role (design.md §9 and §10), for the model checker spin.
 *
 * In: how much may go wrong (the numbers below) and, for a mutation, the rule that is broken (MUT_…). Out: a violated
 * assertion with the steps that lead to it, or the word that there is none. The decision that matters: gates, bus and
 * network do what they like, so all that is proven rests on fence, register, helm and operation ids. README.md is the
 * reading guide.
 */

/* ---- how much may go wrong ---- */
#ifndef COORDINATORS
#define COORDINATORS 1  /* alive at once */
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2      /* one that follows a commit is a rollback */
#endif
#ifndef FAULTS
#define FAULTS 1        /* a coordinator dies, or loses a session, with a statement under way */
#endif
#ifndef RETAKES
#define RETAKES 0       /* a coordinator that a living one has displaced displaces it in turn */
#endif
#ifndef RESTARTS
#define RESTARTS 0      /* of a server */
#endif
#ifndef GATES
#define GATES 1
#endif
#ifndef WRITES
#define WRITES 2        /* of each gate */
#endif
#ifndef LOSSES
#define LOSSES 0        /* a gate loses its connection with a COMMIT under way */
#endif
/* Further switches: BUS, ACCOUNTS, RELAXED, DEADMAN, HAND. They are explained where they are used. */

#define SRC 0           /* the sides, for good; old and new are what they are in an attempt */
#define DST 1

mtype:outcome = { none, open, commit, abort };

/* What a coordinator does to a server, each a statement, or statements of which a half does no harm. */
mtype:statement = { idle, s_register, s_fence, s_kill, s_streamoff, s_arm, s_position, s_lasting, s_flush, s_commit,
	s_abort, s_route, s_liftlasting, s_liftnow, s_disarm, s_streamon };

/* ---- the two servers ---- */
bit  now[2];                  /* the fence's part for now, which a restart lifts */
bit  lasting[2];              /* its lasting part */
byte have[2];                 /* operations whose rows are here, as bits */
byte origin[2];               /* those of them that applications committed here */
byte from[2];                 /* of these, what lies before the position at which the stream away from here begins */
bit  armed[2];                /* triggers are here */
bit  stream[2];               /* a stream may write here: somebody holds the lease, and its tokens are good */
mtype:outcome outcome[2] = none;  /* the register's last row: what came of it, */
byte attempt[2];              /*   its attempt, */
byte given[2];                /*   and the epoch that the other side gets */
bit  names[2];                /* this server's own route row names it, */
byte epoch[2];                /*   with this epoch */
byte helm[2];                 /* the session with the lock, by its coordinator, as a bit */
mtype:statement late[2] = idle;   /* a statement under way whose sender is dead or has given it up */
byte lateAttempt[2];
byte lateEpoch[2];

/* Who is the writer, by a server's own rows. */
#define GAVE(s)     (outcome[s] == commit && given[s] > epoch[s])
#define WRITER(s)   (names[s] && !GAVE(s))

#define FENCED(s)   (now[s] || lasting[s])
#ifdef ACCOUNTS
/* The source's fence locks accounts, then ends sessions: who is inside writes on until then. */
byte inside[2];               /* gates' sessions, as bits */
byte greeted[2];              /* the same while they log in: the lock was looked at, and no scan by name sees them yet */
#define ACCEPTS(s)  (!FENCED(s) || inside[s])
#define ADMITS(s, g) (s == SRC -> (inside[s] >> g) & 1 : !FENCED(s))
#else
#define ACCEPTS(s)  (!FENCED(s))
#define ADMITS(s, g) (!FENCED(s))
#endif

#ifdef RELAXED
/* A server that does not flush each commit may lose what it has committed since the last flush. */
byte soft[2];                 /* rows that the stream wrote */
bit  softCommit[2];           /* the register's commit */
#define SOFT_ROWS(to, of) soft[to] = soft[to] | (origin[of] & ~from[of] & ~have[to])
#define SOFT_COMMIT(s) softCommit[s] = 1
#else
#define SOFT_ROWS(to, of) skip
#define SOFT_COMMIT(s) skip
#endif

/* ---- what is counted, and what applications have under way ---- */
byte executed;                /* operations that took effect, anywhere, as bits */
byte faults = FAULTS, retakes = RETAKES, restarts = RESTARTS, losses = LOSSES;
byte began;                   /* attempts */
byte alive;                   /* coordinators at work, as bits */
byte done;                    /* gates whose writes are all acknowledged, as bits */
byte flight[GATES];           /* an operation whose COMMIT is under way, while its gate has lost the connection */
byte flightTo[GATES];

#ifdef BUS
byte sentHold;                /* attempts, as bits: what was sent may be heard at any time, or never */
byte sentFlip;                /* epochs, as bits */
byte drained[ATTEMPTS + 1];   /* gates that have said so, for each attempt */
#endif

#ifdef HAND
#define ONE_WRITER skip
#else
#define ONE_WRITER assert(!(ACCEPTS(SRC) && ACCEPTS(DST)))         /* property: one writer */
#endif

inline execute(s, what, a, e) {
	if
	:: what == s_register    -> outcome[s] = open; attempt[s] = a; given[s] = e
#if defined(MUT_NO_FENCE)
	:: what == s_fence       -> skip
#elif defined(ACCOUNTS)
	:: what == s_fence       -> if :: s == SRC -> lasting[s] = 1 :: else -> now[s] = 1 fi
	:: what == s_kill        -> inside[s] = 0; flight[0] = 0; flightTo[0] = 0
#else
	:: what == s_fence       -> now[s] = 1
#endif
	:: what == s_streamoff   -> stream[s] = 0
	:: what == s_arm         -> armed[s] = 1
	:: what == s_position    -> from[1 - s] = origin[1 - s]
#if defined(MUT_NO_FENCE) || defined(MUT_NO_LASTING)
	:: what == s_lasting     -> skip
#else
	:: what == s_lasting     -> lasting[s] = 1
#endif
#ifdef RELAXED
	:: what == s_flush       -> soft[s] = 0; softCommit[s] = 0
#endif
	:: what == s_commit      -> if :: outcome[s] == open && attempt[s] == a -> outcome[s] = commit; SOFT_COMMIT(s) :: else fi
	:: what == s_abort       -> if :: outcome[s] == open -> outcome[s] = abort :: else fi
	:: what == s_route       -> if :: epoch[s] < e -> names[s] = 1; epoch[s] = e :: else fi
	:: what == s_liftlasting -> lasting[s] = 0
	:: what == s_liftnow     -> now[s] = 0
	:: what == s_disarm      -> armed[s] = 0
	:: what == s_streamon    -> stream[s] = 1
	fi;
	ONE_WRITER
}

/* A COMMIT of operation o arrives at server s, which lets it in. */
inline write(s, o) {
	if
#ifndef MUT_NO_OPERATION_ID
	:: have[s] & o -> skip    /* error 1062: it was done before */
#endif
	:: else ->
#ifndef HAND
		assert(!(executed & o));                                   /* property: none doubled */
#endif
		have[s] = have[s] | o; origin[s] = origin[s] | o; executed = executed | o
	fi;
#ifndef HAND
	assert((executed & ~have[s]) == 0);                            /* property: none lost */
	assert(armed[s]);                                              /* property: the writer has its triggers */
	assert(!stream[s])    /* else the stream has met its triggers before: "no trigger fires twice" says it first */
#endif
}

/* ---- the coordinator ---- */

#define MINE(s) (helm[s] & (1 << me))

/* Kill the holder, then take the lock: no statement of his can take effect any more. */
inline take(s) {
	atomic {
#ifdef MUT_NO_HELM
		helm[s] = helm[s] | (1 << me)
#else
		helm[s] = 1 << me; late[s] = idle; lateAttempt[s] = 0; lateEpoch[s] = 0
#endif
	}
}

/* One statement: it takes effect and is answered; or its answer is lost; or it is under way when its sender dies or loses
   the session, and takes effect later, or never. A session that was killed, or died with its server, answers nothing. */
inline issue(s, what) {
	atomic {
		if
		:: MINE(s) -> d_step { execute(s, what, a, e) }
		:: MINE(s) && faults > 0 -> d_step { faults--; execute(s, what, a, e) }; goto lost
		:: MINE(s) && faults > 0 && late[s] == idle ->
			d_step { faults--; late[s] = what; lateAttempt[s] = a; lateEpoch[s] = e }; goto lost
#ifdef MUT_RECONNECT
		:: !MINE(s) -> take(s); execute(s, what, a, e)
#else
		:: !MINE(s) -> goto lost
#endif
		fi
	}
}

/* The same if it is needed, which only the session can tell. */
inline where(needed, s, what) {
	atomic {
		if
		:: !MINE(s) -> goto lost
		:: MINE(s) && !(needed)
		:: MINE(s) && (needed) -> issue(s, what)
		fi
	}
}

inline lift(s) {
	where(lasting[s], s, s_liftlasting);
	where(now[s], s, s_liftnow)
}

proctype Coordinator(byte me) {
	byte a, e, old, new;      /* of the attempt: its number, the epoch it leads to, the sides */
	byte pos;                 /* the final position: operations before it, as bits */
	bit  x;                   /* the side where settling begins */
	bit  committing;          /* the register's COMMIT has been sent */

	/* A standby may come at any time: the one that it takes for dead may be alive. */
	alive = alive | (1 << me);

settle:	/* whatever was left behind is settled by what the servers' own rows say */
	atomic {
		if :: x = SRC :: x = DST fi;
		take(x)
	};
alone:	/* with one helm only what this side's rows suffice for: the other side may be gone */
	if
	:: !MINE(x) -> goto lost
#ifdef WEAK_ABORT_UNWRITTEN
	:: MINE(x) && outcome[x] == open && WRITER(x) && FENCED(x) -> lift(x)
	:: MINE(x) && outcome[x] == open && (!WRITER(x) || !FENCED(x))
#else
	:: MINE(x) && outcome[x] == open -> issue(x, s_abort); goto alone
#endif
	:: MINE(x) && outcome[x] != open && WRITER(x) && FENCED(x) -> lift(x)
	:: MINE(x) && outcome[x] != open
	fi;
#ifdef MUT_LOOKS_BEFORE_BOTH
	if
	:: MINE(x) && WRITER(x) -> take(1 - x); new = x; old = 1 - new; e = epoch[new]; x = 0; goto disarm
	:: else
	fi;
#endif
	atomic { take(1 - x); x = 0 };
both:	/* both helms first, and then both sides' rows */
	atomic {
		if
		:: !MINE(SRC) || !MINE(DST) -> goto lost
		:: else
		fi;
		if
#ifndef WEAK_ABORT_UNWRITTEN
		:: outcome[SRC] == open -> issue(SRC, s_abort); goto both
		:: outcome[DST] == open -> issue(DST, s_abort); goto both
#endif
		:: else
		fi;
		if
		:: WRITER(SRC) -> new = SRC; e = epoch[SRC]
		:: WRITER(DST) -> new = DST; e = epoch[DST]
		:: !WRITER(SRC) && !WRITER(DST) && given[SRC] > given[DST] -> new = DST; e = given[SRC]
		:: !WRITER(SRC) && !WRITER(DST) && given[SRC] < given[DST] -> new = SRC; e = given[DST]
		fi;
		old = 1 - new;
		if
		:: GAVE(old) -> goto forward              /* a commit stands */
		:: else
		fi
	};
disarm:	/* undo, or nothing to do: first the side that did not get the role */
	where(armed[old], old, s_disarm);
	goto forward;

preflight:	/* an attempt begins, or the coordinator has nothing more to do; it holds both helms, old is the writer */
	atomic {
		if
		:: !MINE(SRC) || !MINE(DST) -> goto lost
		:: else
		fi;
		if
		:: alive = alive & ~(1 << me); goto finished
		:: began < ATTEMPTS -> began++
		fi;
		new = old; old = 1 - new;                 /* the sides change their parts */
		a = began;
		e = epoch[old] + 1
	};
hold:
#ifdef BUS
	sentHold = sentHold | (1 << a);
	if
	:: drained[a] == (1 << GATES) - 1             /* which says nothing of now: a hold lapses */
#ifndef MUT_HOLD_WITHOUT_DEADLINE
	:: goto undo                                  /* the deadline: a gate is silent */
#endif
	fi;
#endif
fence:
	issue(old, s_register);
#ifdef MUT_POSITION_BEFORE_FENCE
	pos = origin[old];
#endif
	issue(old, s_fence);
#ifdef ACCOUNTS
#ifdef MUT_POSITION_BEFORE_KILL
	pos = origin[old];
#endif
#ifndef MUT_SCAN_BY_NAME
	if                                            /* two scans are empty, also of those who log in */
	:: !greeted[old]
	:: goto undo
	fi;
#endif
	issue(old, s_kill);
#endif
drain:
#if !defined(MUT_POSITION_BEFORE_FENCE) && !defined(MUT_POSITION_BEFORE_KILL)
	pos = origin[old];
#endif
#ifndef MUT_COMMIT_BEFORE_DRAIN
	if
	:: (pos & ~from[old] & ~have[new]) == 0
	:: goto undo
	fi;
#endif
	pos = 0;
prove:	/* what is due is compared; nothing here rests on it */
arm:
#ifndef MUT_STREAM_WHILE_ARMED
	issue(new, s_streamoff);
#endif
	issue(new, s_arm);
#ifndef MUT_LATE_POSITION
	issue(old, s_position);
#endif
#ifdef MUT_ROUTE_BEFORE_COMMIT
	issue(new, s_route);
#endif
#ifndef MUT_LASTING_AFTER_COMMIT
	issue(old, s_lasting);
#endif
#if defined(RELAXED) && !defined(MUT_NO_FLUSH)
	issue(new, s_flush);
#endif
	if
	:: goto undo                                  /* the last moment for a deadline, a Ctrl-C, a rehearsal */
	:: true
	fi;
commit_:	/* the point of no return */
	committing = 1;
	issue(old, s_commit);
	committing = 0;
	if
	:: !MINE(old) -> goto lost
	:: MINE(old) && outcome[old] != commit -> goto settle
	:: MINE(old) && outcome[old] == commit
	fi;
#ifdef MUT_LASTING_AFTER_COMMIT
	issue(old, s_lasting);
#endif
forward:	/* from here every coordinator does the same, and what is done already is left out */
#if defined(RELAXED) && !defined(MUT_NO_FLUSH)
	issue(old, s_flush);
#endif
open_:
#ifndef WEAK_OPEN_BEFORE_ROUTE
	where(epoch[new] < e, new, s_route);
#endif
	lift(new);
#ifdef WEAK_OPEN_BEFORE_ROUTE
	where(epoch[new] < e, new, s_route);
#endif
#ifdef MUT_LATE_POSITION
	issue(old, s_position);
#endif
flip:
#ifdef BUS
	sentFlip = sentFlip | (1 << e);
#endif
reverse:	/* the other side's triggers are set aside, then the stream writes there */
	where(armed[old], old, s_disarm);
#ifdef MUT_LEASE_WITHOUT_HELM
	stream[old] = 1;
#else
	where(!stream[old], old, s_streamon);
#endif
	atomic { a = 0; e = 0; goto preflight };

undo:	/* abort, disarm, lift: what settling does */
	atomic { a = 0; e = 0; old = 0; new = 0; pos = 0; goto settle };

lost:	/* it is dead, or a session is gone */
	if
	:: committing ->      /* Unknown is not failed. Who lives may settle his own commit on the old writer alone, … */
		atomic { committing = 0; take(old) };
unknown:
		if
		:: !MINE(old) -> goto forget
		:: MINE(old) && attempt[old] == a && outcome[old] == open -> issue(old, s_abort); goto unknown
		:: MINE(old) && attempt[old] == a && outcome[old] == commit -> goto forward
		:: MINE(old) && attempt[old] == a && outcome[old] == abort -> lift(old); goto forget
#ifdef MUT_SETTLES_BLINDLY
		:: MINE(old) && attempt[old] != a -> lift(old); goto forget     /* his own row, an earlier one, says abort */
#else
		:: MINE(old) && attempt[old] != a -> goto forget                /* … if no later attempt was made */
#endif
		fi
#ifdef MUT_UNFENCE_ON_UNKNOWN
	:: committing -> committing = 0; take(old); lift(old)
#endif
#ifdef MUT_FORWARD_ON_UNKNOWN
	:: committing -> committing = 0; take(new); goto forward
#endif
#ifdef MUT_READING_PROVES
	:: committing && outcome[old] == open -> lasting[old] = 0; now[old] = 0   /* with the old session still there */
#endif
	:: true
	fi;
forget:	/* all that was known is void */
	atomic {
		a = 0; e = 0; old = 0; new = 0; pos = 0; x = 0; committing = 0;
		if
#ifdef MUT_BOTH_STEP_DOWN
		:: alive & ~(1 << me) -> goto finished
#else
		:: alive & ~(1 << me) -> alive = alive & ~(1 << me); goto finished   /* another one is at work, and stays */
#endif
		:: (alive & ~(1 << me)) && retakes > 0 -> retakes--; goto settle
		:: !(alive & ~(1 << me)) -> goto settle
		fi
	};
finished:
	atomic { alive = alive & ~(1 << me); a = 0; e = 0; old = 0; new = 0; pos = 0; x = 0 }
}

#ifdef DEADMAN
/* ---- the dead-man's event on the source: after silence it undoes, and needs nobody ---- */
#ifdef MUT_DEADMAN_WITHOUT_HELM
#define MAY true
#else
#define MAY MINE(SRC)
#endif
proctype DeadMan() {
	byte me = 7;              /* its session */
	if
	:: outcome[SRC] == open
	:: timeout -> goto ended
	fi;
#ifndef MUT_DEADMAN_WITHOUT_HELM
	take(SRC);
#endif
	if
	:: atomic { MAY -> execute(SRC, s_abort, 0, 0) }
	:: !MAY -> goto ended
	fi;
	if
	:: MAY && WRITER(SRC)
	:: MAY && !WRITER(SRC) -> goto ended
	:: !MAY -> goto ended
	fi;
	if
	:: atomic { MAY -> execute(SRC, s_liftlasting, 0, 0) }
	:: !MAY -> goto ended
	fi;
	if
	:: atomic { MAY -> execute(SRC, s_liftnow, 0, 0) }
	:: !MAY
	fi;
#ifdef MUT_DEADMAN_STAYS      /* it comes again, for the attempt that it was made for, which was aborted */
	take(SRC);
	if
	:: atomic { MAY -> execute(SRC, s_liftlasting, 0, 0) }
	:: !MAY -> goto ended
	fi;
	if
	:: atomic { MAY -> execute(SRC, s_liftnow, 0, 0) }
	:: !MAY
	fi;
#endif
ended:
	skip
}
#endif

/* ---- a gate: it writes where it knows, under operation ids, and looks at the route rows ---- */
proctype Gate(byte g) {
	byte n;                   /* writes acknowledged */
	byte known = 1;           /* the highest epoch that it has heard of: this is also one that starts with an old configuration */
	byte at = SRC;            /* where it writes */
#ifdef BUS
	byte held;                /* the attempt that holds it; 0: open */
	byte heard;               /* the newest attempt of which it heard a hold */
#define LETS_IN (held == 0)
#else
#define LETS_IN true
#endif
#ifdef HAND
#define NEVER_BACK assert(epoch[at] >= known)                      /* property: a gate never goes back */
#else
#define NEVER_BACK skip
#endif
#define OPERATION (1 << (WRITES * g + n))
	do
	/* A write that is refused (1290 and the like) changed nothing and is tried again: here it waits until it would pass. */
	:: d_step { n < WRITES && LETS_IN && ADMITS(at, g) -> NEVER_BACK; write(at, OPERATION); n++ }
	/* It took effect and the answer is lost: the same operation again. */
	:: d_step { n < WRITES && LETS_IN && ADMITS(at, g) && losses > 0 -> losses--; NEVER_BACK; write(at, OPERATION) }
	/* COMMIT is under way for who knows how long: the same operation again, wherever the writer is by then. */
	:: d_step { n < WRITES && LETS_IN && losses > 0 && flight[g] == 0 -> losses--; flight[g] = OPERATION; flightTo[g] = at }
	/* A server's own row names it, and no higher epoch is known. */
#ifndef MUT_GATE_READS_NO_ROWS
	:: d_step { n < WRITES && names[SRC] && epoch[SRC] > known -> known = epoch[SRC]; at = SRC }
	:: d_step { n < WRITES && names[DST] && epoch[DST] > known -> known = epoch[DST]; at = DST }
#endif
#ifdef ACCOUNTS
	:: d_step { n < WRITES && !lasting[SRC] && !((inside[SRC] | greeted[SRC]) & (1 << g)) -> greeted[SRC] = greeted[SRC] | (1 << g) }
	:: d_step { greeted[SRC] & (1 << g) -> greeted[SRC] = greeted[SRC] & ~(1 << g); inside[SRC] = inside[SRC] | (1 << g); ONE_WRITER }
#endif
#ifdef MUT_GATE_GOES_BACK
	:: d_step { n < WRITES && !ADMITS(at, g) -> at = 1 - at }
#endif
#ifdef BUS
	:: d_step { n < WRITES && (sentHold & 2) && heard < 1 -> held = 1; heard = 1 }
	:: d_step { n < WRITES && (sentHold & 4) && heard < 2 -> held = 2; heard = 2 }
	:: d_step { held && !(drained[held] & (1 << g)) -> drained[held] = drained[held] | (1 << g) }
	/* Lapsed; or released, by whatever message, early or late. */
	:: held -> held = 0
	:: d_step { n < WRITES && (sentFlip & 4) && known < 2 -> known = 2; at = DST; held = 0 }
	:: d_step { n < WRITES && (sentFlip & 8) && known < 3 -> known = 3; at = SRC; held = 0 }
#endif
	:: n == WRITES -> break
	od;
	done = done | (1 << g)
}

/* ---- what happens by itself ---- */
proctype World() {
	byte s;
	do
	/* Late statements and late COMMITs arrive. */
	:: d_step { late[SRC] != idle -> execute(SRC, late[SRC], lateAttempt[SRC], lateEpoch[SRC]); late[SRC] = idle; lateAttempt[SRC] = 0; lateEpoch[SRC] = 0 }
	:: d_step { late[DST] != idle -> execute(DST, late[DST], lateAttempt[DST], lateEpoch[DST]); late[DST] = idle; lateAttempt[DST] = 0; lateEpoch[DST] = 0 }
	:: d_step { flight[0] && ADMITS(flightTo[0], 0) -> write(flightTo[0], flight[0]); flight[0] = 0; flightTo[0] = 0 }
#if GATES > 1
	:: d_step { flight[1] && ADMITS(flightTo[1], 1) -> write(flightTo[1], flight[1]); flight[1] = 0; flightTo[1] = 0 }
#endif
	/* The stream brings all that there is. With triggers there, they would do again what the writer's have done. */
	:: d_step { stream[DST] && (origin[SRC] & ~from[SRC] & ~have[DST]) ->
		assert(!armed[DST]);                                       /* property: no trigger fires twice */
		SOFT_ROWS(DST, SRC);
		have[DST] = have[DST] | (origin[SRC] & ~from[SRC]) }
	:: d_step { stream[SRC] && (origin[DST] & ~from[DST] & ~have[SRC]) ->
		assert(!armed[SRC]);                                       /* property: no trigger fires twice */
		SOFT_ROWS(SRC, DST);
		have[SRC] = have[SRC] | (origin[DST] & ~from[DST]) }
#ifdef RELAXED
	:: soft[SRC] -> soft[SRC] = 0
	:: soft[DST] -> soft[DST] = 0
	:: softCommit[SRC] -> softCommit[SRC] = 0
	:: softCommit[DST] -> softCommit[DST] = 0
#endif
#ifdef HAND
	/* Somebody lifts the fence of the server that gave the role away. */
	:: d_step { GAVE(SRC) && names[DST] && FENCED(SRC) -> now[SRC] = 0; lasting[SRC] = 0 }
#endif
	:: restarts > 0 -> atomic { restarts--; if :: s = SRC :: s = DST fi;
		d_step {
#ifdef RELAXED
			have[s] = have[s] & ~soft[s]; soft[s] = 0;
			if :: softCommit[s] -> outcome[s] = open; softCommit[s] = 0 :: else fi;
#endif
#ifdef ACCOUNTS
			inside[s] = 0; greeted[s] = 0;
#endif
			now[s] = 0; helm[s] = 0; late[s] = idle; lateAttempt[s] = 0; lateEpoch[s] = 0;
			if :: flight[0] && flightTo[0] == s -> flight[0] = 0; flightTo[0] = 0 :: else fi;
#if GATES > 1
			if :: flight[1] && flightTo[1] == s -> flight[1] = 0; flightTo[1] = 0 :: else fi;
#endif
			s = 0;
			ONE_WRITER } }
	:: timeout -> break
	od;
	/* Nothing more can happen, so this is how it ends. */
#ifndef HAND
	assert(done == (1 << GATES) - 1);                              /* property: every write is acknowledged */
	assert(alive == 0);                                            /* property: no coordinator waits for ever */
	assert(ACCEPTS(SRC) || ACCEPTS(DST));                          /* property: one writer in the end */
#ifndef RELAXED
	assert(FENCED(SRC) != WRITER(SRC) && FENCED(DST) != WRITER(DST)); /* property: the rows name the writer */
#endif
	assert(have[SRC] == executed && have[DST] == executed);        /* property: both sides have all */
#endif
#ifdef WITNESS
	assert(epoch[1 - WITNESS % 2] != WITNESS);                     /* property: that epoch is not reached */
#endif
	skip
}

init {
	atomic {
		names[SRC] = 1; epoch[SRC] = 1; epoch[DST] = 1;
		armed[SRC] = 1; stream[DST] = 1;
		now[DST] = 1; lasting[DST] = 1;           /* the target is fenced from the first chunk on */
		run World();
		run Gate(0);
#if GATES > 1
		run Gate(1);
#endif
#ifdef DEADMAN
		run DeadMan();
#endif
		run Coordinator(0);
#if COORDINATORS > 1
		run Coordinator(1)
#endif
	}
}
