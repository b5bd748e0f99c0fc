/**
 * Puts a few instructions before the first one of a Linux runtime: every environment variable whose name begins with
 * `BUN_` begins with `_UN_` from there on. Some names the compiler has split into single bytes, where nothing
 * can be found and replaced; this takes all of them, before the runtime looks.
 *
 * The instructions lie where the file has room that is mapped as code and never reached: before the code's segment, or
 * in the no-ops that align a loop behind an unconditional branch.
 */

const ELF = 0x464c457f;
const X64 = 0x3e;
const ARM64 = 0xb7;
const LOAD = 1;
const EXECUTABLE = 1;
const HEADER_SIZE = 56;
/** More than the instructions of either machine. */
const ROOM = 56;
const NOP = 0xd503201f;
const RETURN = 0xd65f03c0;

interface Segment {
  readonly header: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

/** Changes the runtime in place; leaves one that is not ELF alone. @throws {Error} when there is no room for it */
export function scrubEnvironment(runtime: Buffer): void {
  if (runtime.readUInt32LE(0) !== ELF) return;
  const start = Number(runtime.readBigUInt64LE(24));
  const machine = runtime.readUInt16LE(18);
  if (machine === X64) enter(runtime, roomBefore(runtime), (at) => codeX64(at, start));
  else if (machine === ARM64) enter(runtime, roomInside(runtime), (at) => codeArm64(at, start));
  else throw new Error(`Cannot harden the runtime: machine ${machine} is not known`);
}

interface Room {
  readonly offset: number;
  readonly address: number;
}

function enter(runtime: Buffer, { offset, address }: Room, code: (at: number) => Buffer): void {
  code(address).copy(runtime, offset);
  runtime.writeBigUInt64LE(BigInt(address), 24);
}

function segmentsOf(runtime: Buffer): readonly (Segment & { readonly isCode: boolean })[] {
  const table = Number(runtime.readBigUInt64LE(32));
  return Array.from({ length: runtime.readUInt16LE(56) }, (_, i) => table + i * HEADER_SIZE)
    .filter((header) => runtime.readUInt32LE(header) === LOAD)
    .map((header) => ({
      header,
      isCode: (runtime.readUInt32LE(header + 4) & EXECUTABLE) !== 0,
      offset: Number(runtime.readBigUInt64LE(header + 8)),
      address: Number(runtime.readBigUInt64LE(header + 16)),
      size: Number(runtime.readBigUInt64LE(header + 32)),
    }));
}

function codeOf(runtime: Buffer): Segment {
  const code = segmentsOf(runtime).find(({ isCode }) => isCode);
  if (!code) throw new Error("Cannot harden the runtime: it has no segment of code");
  return code;
}

/** The segment's first page is mapped as a whole, so what stands before it is code as well. */
function roomBefore(runtime: Buffer): Room {
  const { offset, address, header, size } = codeOf(runtime);
  const room = runtime.subarray(offset - ROOM, offset);
  const others = segmentsOf(runtime).filter((each) => each.header !== header);
  const isFree = others.every(
    (each) => each.offset >= offset || each.offset + each.size <= offset - ROOM,
  );
  if (!isFree || room.some((byte) => byte !== 0)) {
    throw new Error("Cannot harden the runtime: there is no room before its code");
  }
  for (const field of [8, 16, 24]) {
    runtime.writeBigUInt64LE(
      runtime.readBigUInt64LE(header + field) - BigInt(ROOM),
      header + field,
    );
  }
  for (const field of [32, 40]) {
    runtime.writeBigUInt64LE(BigInt(size + ROOM), header + field);
  }
  return { offset: offset - ROOM, address: address - ROOM };
}

/** A run of no-ops behind an instruction that never goes on. */
function roomInside(runtime: Buffer): Room {
  const { offset, address, size } = codeOf(runtime);
  let run = 0;
  for (let at = offset; at < offset + size; at += 4) {
    if (runtime.readUInt32LE(at) !== NOP) {
      run = 0;
      continue;
    }
    run += 4;
    const first = at + 4 - run;
    if (run === ROOM && leaves(runtime.readUInt32LE(first - 4))) {
      return { offset: first, address: address + first - offset };
    }
  }
  throw new Error("Cannot harden the runtime: there is no room in its code");
}

function leaves(instruction: number): boolean {
  const isBranch = (instruction & 0xfc000000) >>> 0 === 0x14000000;
  return isBranch || instruction === RETURN;
}

function codeX64(at: number, start: number): Buffer {
  const code = Buffer.from(
    [
      "488b0424", //       mov  rax, [rsp]              argc
      "488d74c410", //     lea  rsi, [rsp + rax*8 + 16] environment
      "488b06", //   next: mov  rax, [rsi]
      "4883c608", //       add  rsi, 8
      "4885c0", //         test rax, rax
      "740d", //           jz   done
      "813842554e5f", //   cmp  dword [rax], "BUN_"
      "75ec", //           jne  next
      "c6005f", //         mov  byte [rax], "_"
      "ebe7", //           jmp  next
      "e900000000", // done: jmp start
    ].join(""),
    "hex",
  );
  code.writeInt32LE(start - (at + code.length), code.length - 4);
  return code;
}

function codeArm64(at: number, start: number): Buffer {
  const instructions = [
    0xf94003e9, //       ldr  x9, [sp]                 argc
    0x91000529, //       add  x9, x9, #1
    0x8b296fea, //       add  x10, sp, x9, uxtx #3     before the environment
    0x528aa84b, //       movz w11, "BU"
    0x72abe9cb, //       movk w11, "N_", lsl #16
    0xf8408d49, // next: ldr  x9, [x10, #8]!
    0xb40000e9, //       cbz  x9, done
    0xb940012c, //       ldr  w12, [x9]
    0x6b0b019f, //       cmp  w12, w11
    0x54ffff81, //       b.ne next
    0x52800bec, //       mov  w12, "_"
    0x3900012c, //       strb w12, [x9]
    0x17fffff9, //       b    next
  ];
  const distance = (start - (at + instructions.length * 4)) / 4;
  const jump = (0x14000000 | (distance & 0x03ffffff)) >>> 0; // done: b start
  const code = Buffer.alloc(ROOM);
  for (const [i, word] of [...instructions, jump].entries()) code.writeUInt32LE(word, i * 4);
  return code;
}
