"""The order of steps in which `sys` goes from one clock to another."""

from migen import FSM, If, Module, NextState, NextValue, Signal

NO_ERROR, NO_CLOCK, PLL_UNLOCKED, MMCM_UNLOCKED, NOT_ALIGNED, CLOCK_LOST = range(6)


class ClockSwitch(Module):
    """Switches the MMCM of `sys` between the bootstrap clock and the main clock. Everything is in one clock domain,
    that of the bootstrap clock, which is always there.

    :param hold: cycles for which `sys` is in reset before the MMCM stops, and the MMCM before and after its input
        changes (its vendor wants the change within the reset).
    :param settle: cycles until ``main_good`` says something about a clock that was just enabled.
    :param patience: cycles that a PLL or the MMCM gets to lock; ``long_patience``: the transceivers to align.

    Inputs
        to_main, to_bootstrap   wanted, until ``answered``
        main_ready              what comes before the main clock (the transceivers' PLL) has locked; 1 if nothing does
        main_good               the main clock has its frequency
        locked                  the MMCM has locked
        aligned                 what runs with `sys` from the main clock (the transceivers) is ready; 1 if nothing does
    Outputs, registers
        answered   a wish is fulfilled or refused; until it is withdrawn. A switch resets whoever had the wish.
        enable     the main clock is wanted: ``main_ready`` can be brought about
        select     input of the MMCM: 1 main
        stop       the MMCM is in reset
        running    `sys` has the main clock: ``aligned`` can be brought about
        reset      `sys` has to be in reset
        began      one cycle: `sys` is about to be reset for its clock's sake (not at power-on)
        done       `sys` is up with the main clock
        error      why the last attempt failed or the clock was given up
    """

    def __init__(self, hold: int, settle: int, patience: int, long_patience: int) -> None:
        self.to_main = Signal()
        self.to_bootstrap = Signal()
        self.main_ready = Signal()
        self.main_good = Signal()
        self.locked = Signal()
        self.aligned = Signal()
        self.answered = Signal()
        self.enable = Signal()
        self.select = Signal()
        self.stop = Signal(reset=1)
        self.running = Signal()
        self.reset = Signal(reset=1)
        self.began = Signal()
        self.done = Signal()
        self.error = Signal(3)

        # # #

        self.target = target = Signal()
        left = Signal(max=max(hold, settle, patience, long_patience) + 1, reset=hold)
        self.submodules.fsm = fsm = FSM(reset_state="STOPPED")
        self.sync += If(left != 0, left.eq(left - 1))

        def wait(state: str, cycles: int) -> list:
            return [NextValue(left, cycles), NextState(state)]

        give_up = [NextValue(target, 0), NextValue(self.running, 0), NextValue(self.stop, 1), *wait("STOPPED", hold)]
        self.comb += self.began.eq(fsm.ongoing("LEAVE"))

        # In use. The wish has to be withdrawn before it is looked at again.
        fsm.act("IN USE",
            NextValue(self.answered, 0),
            If(self.select & ~(self.locked & self.main_good),
                NextValue(self.error, CLOCK_LOST), NextValue(target, 0), NextState("LEAVE"),
            ).Elif(self.to_main & ~self.select,
                NextValue(self.error, NO_ERROR), NextValue(self.enable, 1), *wait("PREPARE", patience),
            ).Elif(self.to_bootstrap & self.select,
                NextValue(self.error, NO_ERROR), NextValue(target, 0), NextState("LEAVE"),
            ).Elif(self.to_main | self.to_bootstrap, NextState("ANSWER")),
        )
        fsm.act("ANSWER",
            NextValue(self.answered, 1),
            If(~self.to_main & ~self.to_bootstrap, NextState("IN USE")),
        )
        # `sys` still runs from the bootstrap clock.
        fsm.act("PREPARE",
            If(self.main_ready, *wait("MEASURE", settle))
            .Elif(left == 0, NextValue(self.error, PLL_UNLOCKED), NextState("REFUSE")),
        )
        fsm.act("MEASURE",
            If(left == 0,
                If(self.main_good, NextValue(target, 1), NextState("LEAVE"))
                .Else(NextValue(self.error, NO_CLOCK), NextState("REFUSE")),
            ),
        )
        fsm.act("REFUSE", NextValue(self.enable, 0), NextState("ANSWER"))
        # The old clock goes on for a while, so that everything is reset in good order.
        fsm.act("LEAVE",
            NextValue(self.reset, 1), NextValue(self.done, 0), NextValue(self.running, 0), *wait("LEFT", hold),
        )
        fsm.act("LEFT", If(left == 0, NextValue(self.stop, 1), *wait("STOPPED", hold)))
        fsm.act("STOPPED",
            If(left == 0, NextValue(self.select, target), NextValue(self.enable, target), *wait("SWITCHED", hold)),
        )
        fsm.act("SWITCHED", If(left == 0, NextValue(self.stop, 0), *wait("LOCK", patience)))
        fsm.act("LOCK",
            If(self.locked,
                If(self.select, NextValue(self.running, 1), *wait("ALIGN", long_patience))
                .Else(NextState("START")),
            ).Elif(left == 0,
                # The bootstrap clock is tried for ever: there is nothing else.
                If(self.select, NextValue(self.error, MMCM_UNLOCKED)),
                *give_up,
            ),
        )
        fsm.act("ALIGN",
            If(~self.locked, NextValue(self.error, MMCM_UNLOCKED), *give_up)
            .Elif(self.aligned, NextState("START"))
            .Elif(left == 0, NextValue(self.error, NOT_ALIGNED), *give_up),
        )
        fsm.act("START", NextValue(self.reset, 0), NextValue(self.done, self.select), NextState("IN USE"))
