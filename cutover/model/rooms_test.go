package model

// A room is how much may go wrong at once. All the protocol's rules are kept in it.
type room struct {
	name   string
	bounds []string // of the model
	// endless looks for runs without an end too. It takes twice the states.
	endless bool
}

var rooms = []room{
	{"gates_write_while_the_bus_loses_delays_and_reorders", []string{"BUS", "GATES=2", "WRITES=1", "LOSSES=1"}, false},
	{"servers_restart", []string{"RESTARTS=2", "LOSSES=1"}, false},
	{"coordinators_die_twice", []string{"FAULTS=2", "RESTARTS=1"}, false},
	{"there_and_back_and_there_again", []string{"ATTEMPTS=3", "WRITES=3"}, true},
	{"two_coordinators_displace_each_other", []string{"COORDINATORS=2", "RETAKES=1", "WRITES=1", "ATTEMPTS=2", "FAULTS=0"}, false},
	{"two_coordinators_of_which_one_dies", []string{"COORDINATORS=2", "WRITES=1"}, true},
	{"two_coordinators_while_a_server_restarts", []string{"COORDINATORS=2", "WRITES=1", "RESTARTS=1", "ATTEMPTS=1"}, false},
	{"a_dead_mans_event_acts_on_the_source", []string{"DEADMAN", "LOSSES=1"}, false},
	{"the_source_is_fenced_by_locking_accounts", []string{"ACCOUNTS", "RESTARTS=1", "LOSSES=1"}, true},
	{"servers_forget_what_they_did_not_flush", []string{"RELAXED", "RESTARTS=1"}, false},
	{"somebody_lifts_the_old_writers_fence", []string{"HAND"}, false},
}

// weakenings break a rule that other rules make up for: the protocol holds all the same. They are here
// so that nobody takes them for what safety rests on.
var weakenings = []room{
	{"the_new_writer_is_unfenced_before_its_route_row", []string{"WEAK_OPEN_BEFORE_ROUTE", "RESTARTS=1"}, false},
	{"no_abort_is_written_by_who_holds_the_helms", []string{"WEAK_ABORT_UNWRITTEN", "RESTARTS=1"}, false},
	{"a_gate_goes_back_while_the_fence_stands", []string{"MUT_GATE_GOES_BACK", "RESTARTS=1"}, false},
}

// A mutation breaks one rule, in the smallest room where that shows.
type mutation struct {
	rule     string
	bounds   []string // MUT_… first
	property string   // the one that it violates, as the model's comment has it
}

var mutations = []mutation{
	{"the_old_writer_is_fenced", []string{"MUT_NO_FENCE"}, "one writer"},
	{"the_fence_outlasts_a_restart", []string{"MUT_NO_LASTING", "RESTARTS=1"}, "one writer"},
	{"it_does_so_before_the_commit", []string{"MUT_LASTING_AFTER_COMMIT", "RESTARTS=1"}, "one writer"},
	{"all_statements_go_through_the_helm", []string{"MUT_NO_HELM"}, "one writer in the end"},
	{"the_stream_has_passed_before_the_commit", []string{"MUT_COMMIT_BEFORE_DRAIN"}, "none lost"},
	{"the_final_position_is_read_behind_the_fence", []string{"MUT_POSITION_BEFORE_FENCE"}, "none lost"},
	{"an_unknown_commit_is_not_undone", []string{"MUT_UNFENCE_ON_UNKNOWN"}, "one writer"},
	{"an_unknown_commit_is_not_followed", []string{"MUT_FORWARD_ON_UNKNOWN"}, "the rows name the writer"},
	{"reading_the_register_proves_nothing", []string{"MUT_READING_PROVES"}, "one writer"},
	{"the_route_row_comes_after_the_commit", []string{"MUT_ROUTE_BEFORE_COMMIT"}, "the rows name the writer"},
	{"a_gate_never_goes_back_to_a_lower_epoch", []string{"MUT_GATE_GOES_BACK", "HAND"}, "a gate never goes back"},
	{"a_gate_that_hears_nothing_follows_the_route_rows", []string{"MUT_GATE_READS_NO_ROWS"}, "every write is acknowledged"},
	{"a_hold_has_a_deadline", []string{"MUT_HOLD_WITHOUT_DEADLINE", "BUS"}, "no coordinator waits for ever"},
	{"a_write_that_is_tried_again_has_its_operation_id", []string{"MUT_NO_OPERATION_ID", "LOSSES=1"}, "none doubled"},
	{"the_way_back_begins_before_the_new_writer_opens", []string{"MUT_LATE_POSITION"}, "both sides have all"},
	{"no_stream_writes_where_triggers_are", []string{"MUT_STREAM_WHILE_ARMED"}, "no trigger fires twice"},
	{"who_takes_a_lease_holds_the_helm", []string{"MUT_LEASE_WITHOUT_HELM", "COORDINATORS=2", "FAULTS=0"}, "no trigger fires twice"},
	{"a_session_that_is_gone_ends_the_attempt", []string{"MUT_RECONNECT", "RESTARTS=1"}, "none lost"},
	{"both_helms_are_held_before_either_side_is_looked_at", []string{"MUT_LOOKS_BEFORE_BOTH", "COORDINATORS=2", "FAULTS=0"}, "the writer has its triggers"},
	{"who_settles_his_own_commit_looks_for_later_attempts", []string{"MUT_SETTLES_BLINDLY", "COORDINATORS=2", "FAULTS=0"}, "one writer"},
	{"of_two_coordinators_one_stays", []string{"MUT_BOTH_STEP_DOWN", "COORDINATORS=2", "FAULTS=0"}, "both sides have all"},
	{"the_dead_mans_event_takes_the_helm", []string{"MUT_DEADMAN_WITHOUT_HELM", "DEADMAN"}, "one writer"},
	{"it_asks_for_the_newest_attempt", []string{"MUT_DEADMAN_STAYS", "DEADMAN"}, "one writer"},
	{"commits_that_others_rest_on_are_flushed", []string{"MUT_NO_FLUSH", "RELAXED", "RESTARTS=1"}, "one writer"},
	{"scans_see_sessions_that_log_in", []string{"MUT_SCAN_BY_NAME", "ACCOUNTS"}, "one writer"},
	{"the_final_position_is_read_after_the_kills", []string{"MUT_POSITION_BEFORE_KILL", "ACCOUNTS"}, "none lost"},

	// Not rules: that these are violated shows that the model gets there at all.
	{"a_rollback_can_be_had", []string{"WITNESS=3"}, "that epoch is not reached"},
	{"a_cutover_after_it_too", []string{"WITNESS=4", "ATTEMPTS=3"}, "that epoch is not reached"},
}
