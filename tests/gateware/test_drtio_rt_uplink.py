"""A satellite's uplink alone: words of the link in and out, a CRI at its back that does as the test says."""

from collections.abc import Generator

import drtio_rt_model as model
from migen import Module, run_simulation

from corelog_gateware.drtio.commands import QUEUE_DEPTH
from corelog_gateware.drtio.interface import LinkInterface
from corelog_gateware.drtio.uplink import Uplink
from corelog_gateware.rtio import CRI
from corelog_gateware.rtio.tsc import TimestampCounter

Process = Generator
WAIT, UNDERFLOW = 1, 2
NO_EVENT, READ_WAIT = 1, 4


class Satellite(Module):
    """An uplink; `sent` notes the words it sends as (cycle, start, data), `events` what it strobes on its CRI."""

    def __init__(self) -> None:
        self.link, self.cri = LinkInterface(), CRI()
        self.submodules.tsc = TimestampCounter()
        self.submodules.uplink = Uplink(self.link, self.tsc, self.cri)
        self.cycle = 0
        self.sent: list[tuple[int, bool, int]] = []
        self.events: list[tuple[int, ...]] = []

    def tick(self) -> Process:
        yield
        self.cycle += 1
        link, cri = self.link, self.cri
        if (yield link.rt_tx_stb):
            start = bool((yield link.rt_tx_start))
            self.sent.append((self.cycle, start, (yield link.rt_tx_data) & (0xFF if start else 0xFFFF)))
        if (yield cri.o_stb):
            event = []
            for signal in (cri.o_timestamp, cri.chan_sel, cri.o_address, cri.o_data):
                event.append((yield signal))
            self.events.append(tuple(event))

    def hear(self, words: list[model.Word]) -> Process:
        for word in words:
            yield self.link.rt_rx_stb.eq(word is not None)
            yield self.link.rt_rx_start.eq(word is not None and word[0])
            yield self.link.rt_rx_data.eq(0 if word is None else word[1])
            yield from self.tick()
        yield self.link.rt_rx_stb.eq(0)

    def packets(self) -> list[list[model.Word]]:
        """What was sent since the last time, by packet."""
        found: list[list[model.Word]] = []
        for _, start, data in self.sent:
            if start:
                found.append([])
            found[-1].append((start, data))
        self.sent.clear()
        return found

    def clear(self, register: str) -> Process:
        csr = getattr(self.uplink, register)
        yield csr.re.eq(1)
        yield csr.r.eq(1)
        yield from self.tick()
        yield csr.re.eq(0)
        yield from self.tick()


def test_events_wait_in_order_and_the_first_one_too_many_is_recorded() -> None:
    satellite = Satellite()
    uplink, cri = satellite.uplink, satellite.cri
    events = [(8000 + n, 0x10002 + n, n, 0x10000 * (n % 2) + n) for n in range(QUEUE_DEPTH + 3)]

    def process() -> Process:
        yield cri.o_status.eq(WAIT)
        for event in events:
            yield from satellite.hear(model.packet(model.WRITE, *event))
        yield from satellite.hear([None] * 20)
        assert satellite.events == events[:1]
        assert (yield uplink.write_overflow.w) == 1
        assert (yield uplink.write_underflow.w) == (yield uplink.write_unreachable.w) == 0
        time, channel, _, _ = events[QUEUE_DEPTH]
        assert (yield uplink.write_channel.status) == channel
        assert (yield uplink.write_timestamp.status) == time
        slack = yield uplink.write_slack.status
        now = 8 * satellite.cycle
        assert time - now < slack < time - now + 8 * 70
        yield cri.o_status.eq(0)
        yield from satellite.hear([None] * 60)
        assert satellite.events == events[:QUEUE_DEPTH]
        yield from satellite.clear("write_overflow")
        assert (yield uplink.write_overflow.w) == 0

    run_simulation(satellite, process())


def test_an_underflow_is_recorded_once_until_it_is_cleared() -> None:
    satellite = Satellite()
    uplink, cri = satellite.uplink, satellite.cri

    def process() -> Process:
        yield cri.o_status.eq(UNDERFLOW)
        for n in range(3):
            yield from satellite.hear(model.packet(model.WRITE, 100 + n, 0x20003 + n, 0, 1))
        yield from satellite.hear([None] * 20)
        assert (yield uplink.write_underflow.w) == 1
        assert (yield uplink.write_channel.status) == 0x20003
        assert (yield uplink.write_timestamp.status) == 100
        assert (yield uplink.write_slack.status) > 2**63
        yield from satellite.clear("write_underflow")
        assert (yield uplink.write_underflow.w) == 0
        yield from satellite.hear(model.packet(model.WRITE, 200, 7, 0, 1))
        yield from satellite.hear([None] * 20)
        assert (yield uplink.write_underflow.w) == 1
        assert (yield uplink.write_timestamp.status) == 200

    run_simulation(satellite, process())


def test_an_echo_goes_back_in_the_cycle_after_its_checksum_or_not_at_all() -> None:
    satellite = Satellite()

    def process() -> Process:
        yield satellite.cri.i_status.eq(NO_EVENT)
        for gap in range(25):
            satellite.sent.clear()
            yield from satellite.hear(model.packet(model.READ_REQUEST, 5, gap, 0))
            yield from satellite.hear([None] * gap)
            yield from satellite.hear(model.packet(model.ECHO))
            # What was heard in the last cycle is checked in this one.
            heard = satellite.cycle
            yield from satellite.hear([None] * 30)
            echoes = [cycle for cycle, start, data in satellite.sent if start and data == model.ECHO]
            assert echoes in ([], [heard + 1])
            answers = [packet for packet in satellite.packets() if packet[0] == (True, model.READ_NO_EVENT)]
            assert answers == [model.packet(model.READ_NO_EVENT, NO_EVENT, gap, to_satellite=False)]
            if gap > 12:
                assert echoes

    run_simulation(satellite, process())


def test_answers_carry_the_number_of_the_newest_request_and_what_the_cri_shows() -> None:
    satellite = Satellite()
    cri = satellite.cri

    def process() -> Process:
        yield cri.i_status.eq(READ_WAIT)
        yield cri.space_wait.eq(1)
        for number in (3, 4):
            yield from satellite.hear(model.packet(model.READ_REQUEST, 0x10001, number, 800))
            yield from satellite.hear(model.packet(model.SPACE_REQUEST, 1, 100 + number))
        yield from satellite.hear([None] * 30)
        assert satellite.packets() == []
        yield cri.i_status.eq(0)
        yield cri.i_data.eq(0x12345678)
        yield cri.i_timestamp.eq(0xFEDCBA9876543210)
        yield cri.space_wait.eq(0)
        yield cri.space.eq(0x1234)
        yield from satellite.hear([None] * 40)
        assert satellite.packets() == [
            model.packet(model.SPACE, 104, 0x1234, to_satellite=False),
            model.packet(model.READ_REPLY, 4, 0xFEDCBA9876543210, 0x12345678, to_satellite=False),
        ]
        yield from satellite.hear([None] * 40)
        assert satellite.packets() == [], "one answer to a request"

    run_simulation(satellite, process())


def test_a_time_is_loaded_a_cycle_after_its_checksum() -> None:
    satellite = Satellite()

    def process() -> Process:
        yield from satellite.hear([None] * 10)
        yield from satellite.hear(model.packet(model.SET_TIME, 8 * 5000))
        yield from satellite.hear([None])
        # In this cycle it is 5000, which the counter shows from the next one on.
        yield from satellite.hear([None])
        assert (yield satellite.tsc.coarse) == 5001
        assert (yield satellite.uplink.time_loaded.w) == 1
        yield from satellite.clear("time_loaded")
        assert (yield satellite.uplink.time_loaded.w) == 0

    run_simulation(satellite, process())
