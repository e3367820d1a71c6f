// Behaviour of 7-series I/O primitives as far as Corelog's PHYs use them; what is not used is not here, so that a
// wrong parameter or pin does not compile. Clocks have ideal edges: a mu is half a cycle of CLK. Facts are from UG471
// (latency of OSERDESE2, DDR 8:1) and from what is known of the vendor's models (window of ISERDESE2); see
// gateware/corelog_gateware/rtio/README.md.

// D1 to D8 are taken with the edge of CLKDIV and begin to show on OQ four cycles of CLK later, D1 first.
module OSERDESE2 #(
    parameter DATA_RATE_OQ = "", DATA_RATE_TQ = "", SERDES_MODE = "",
    parameter DATA_WIDTH = 0, TRISTATE_WIDTH = 0
) (
    input CLK, CLKDIV, RST, OCE, TCE, D1, D2, D3, D4, D5, D6, D7, D8, T1,
    output OQ, TQ
);
    initial if (DATA_RATE_OQ != "DDR" || DATA_RATE_TQ != "BUF" || SERDES_MODE != "MASTER" || DATA_WIDTH != 8
                || TRISTATE_WIDTH != 1) $fatal(1, "OSERDESE2 is not modelled with these parameters");

    reg [7:0] taken = 0, current = 0;
    reg [1:0] pair = 0;
    reg second = 0, reset = 1;
    // Their difference is the output, so that it is registered at both edges of CLK.
    reg risen = 0, fallen = 0;
    always @(posedge CLKDIV) {reset, taken} <= {RST, D8, D7, D6, D5, D4, D3, D2, D1};
    always @(posedge CLK) begin
        // Reset ends with CLKDIV, whose edge is that of pair 0.
        pair <= reset ? 2'd1 : pair + 2'd1;
        if (pair == 0) current <= taken;
        second <= ~reset & (pair == 0 ? taken[1] : current[{pair, 1'b1}]);
        risen <= fallen ^ (~reset & (pair == 0 ? taken[0] : current[{pair, 1'b0}]));
    end
    always @(negedge CLK) fallen <= risen ^ second;
    assign OQ = OCE & (risen ^ fallen);
    assign TQ = T1 | ~TCE;
endmodule

// Q8 to Q1, oldest to newest, change with CLKDIV; the newest was sampled 5 mus before that edge.
module ISERDESE2 #(
    parameter DATA_RATE = "", INTERFACE_TYPE = "", IOBDELAY = "", SERDES_MODE = "",
    parameter DATA_WIDTH = 0, NUM_CE = 0
) (
    input CLK, CLKB, CLKDIV, RST, CE1, BITSLIP, D,
    output reg Q1, Q2, Q3, Q4, Q5, Q6, Q7, Q8
);
    initial if (DATA_RATE != "DDR" || INTERFACE_TYPE != "NETWORKING" || IOBDELAY != "NONE" || SERDES_MODE != "MASTER"
                || DATA_WIDTH != 8 || NUM_CE != 1) $fatal(1, "ISERDESE2 is not modelled with these parameters");

    // Samples of rising and falling edges, newest in bit 0.
    reg [7:0] rising = 0, falling = 0;
    always @(posedge CLK) if (CE1) rising <= {rising[6:0], D};
    always @(posedge CLKB) if (CE1) falling <= {falling[6:0], D};
    // Before the common edge: falling[i] is 1 + 2i mus old, rising[i] 2 + 2i.
    always @(posedge CLKDIV)
        if (RST) {Q1, Q2, Q3, Q4, Q5, Q6, Q7, Q8} <= 0;
        else begin
            if (BITSLIP) $fatal(1, "ISERDESE2 is not modelled with BITSLIP");
            {Q1, Q3, Q5, Q7} <= {falling[2], falling[3], falling[4], falling[5]};
            {Q2, Q4, Q6, Q8} <= {rising[2], rising[3], rising[4], rising[5]};
        end
endmodule

module OBUF (input I, output O);
    assign O = I;
endmodule

module OBUFDS (input I, output O, OB);
    assign O = I;
    assign OB = ~I;
endmodule

module IOBUF (input I, T, output O, inout IO);
    assign IO = T ? 1'bz : I;
    assign O = IO;
endmodule

module IOBUFDS_INTERMDISABLE #(parameter DIFF_TERM = "", IBUF_LOW_PWR = "", USE_IBUFDISABLE = "") (
    input I, T, IBUFDISABLE, INTERMDISABLE, output O, inout IO, IOB
);
    initial if (DIFF_TERM != "TRUE" || USE_IBUFDISABLE != "FALSE") $fatal(1, "not modelled with these parameters");
    always @* if (IBUFDISABLE || INTERMDISABLE != !T) $fatal(1, "a receiver is off, or its termination wrong");
    assign IO = T ? 1'bz : I;
    assign IOB = T ? 1'bz : ~I;
    assign O = IO & ~IOB;
endmodule

// What is outside: a pin with someone who may drive it. driven: whether the device does.
module PIN (inout IO, input drive, value, output level);
    assign IO = drive ? value : 1'bz;
    assign level = IO;
endmodule
