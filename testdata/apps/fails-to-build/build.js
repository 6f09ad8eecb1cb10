console.log("compiling 3 files");
console.error("main.ts:12: cannot find name 'prise', did you mean 'price'?");
process.exit(7);
