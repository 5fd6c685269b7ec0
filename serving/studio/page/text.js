/** Every text of the page, in both languages, and what puts them in. */

const TEXTS = {
  en: {
    rooms: "What to do", draw: "Draw", restore: "Restore", language: "Show this page in Chinese", theme: "Light or dark",
    prompt: "What to draw", promptHint: "What shall I draw? 画什么？", go: "Draw", stop: "Stop",
    expand: "Complete the prompt", captionEdited: "The caption that is drawn", edit: "Write the caption yourself",
    unedit: "Let the model write the caption", seed: "Seed", dice: "Another seed", count: "Pictures",
    temperature: "Temperature", candidates: "Best of", pixels: (side) => `${side} px`, refine: "Restore the drawing",
    blend: "Blend with another picture", share: "From this one to the other", toPrompt: "Other prompt", toPromptHint: "the same", toSeed: "Other seed",
    keep: "Keep", kept: "Kept below.", tryOne: "Try one of these",
    unknown: (words) => `The model does not know ${words}.`, readAs: (prompt) => `Read as “${prompt}”.`,
    keys: "The picture follows your typing; Enter draws several and keeps them. Esc stops, / goes to the prompt. Drop a picture anywhere to have its prompt back, or to restore it.",
    forget: "Forget all pictures", forgetSure: "Forget all pictures on this page? They are kept in this browser alone.",
    drop: "Drop a picture here, or choose one", dropHint: "PNG, JPEG, WebP, GIF or BMP. It goes to your own server, and nowhere else.",
    letGo: "Let go to open the picture",
    canvas: "The picture. Paint where it has holes: with the mouse or a finger, or move with the arrow keys and paint with the space bar.",
    before: "Before", afterwards: "After", slider: "Left of here before, right of here after",
    brushHint: "Paint over scratches and holes; what you paint is drawn anew.", brushSize: "Brush", clear: "Wipe the paint off",
    estimate: "Estimate the noise", noise: "Noise in grey levels", blur: "Blur in pixels", enlarge: "Enlarge to twice the size",
    mend: "Restore", repaint: "Paint again", another: "Another picture", download: "Download",
    close: "Close", previous: "The picture before", next: "The next picture", beforeRestoring: "Before restoration",
    wordsHint: "Point at a word, or tap it: the pixels that change without it keep their colour.",
    reuse: "Use these settings", take: "Restore it", remove: "Forget it",
    gone: "The server does not answer. Is it still running?", gate: "This server asks for a token", token: "Token", enter: "Go on",
    drawnAs: "drawn as", seedOf: (seed) => `seed ${seed}`, took: (ms) => `${ms} ms`,
    size: "Size", time: "Time", version: "Model", settings: "Settings",
    withoutExpand: "prompt not completed", withoutRefine: "not restored", heat: (t) => `temperature ${t}`, bestOf: (n) => `best of ${n}`,
    blended: (percent, prompt, seed) => `blended ${percent}% with “${prompt}”, seed ${seed}`,
    picture: (caption, seed) => `${caption}, seed ${seed}`, waiting: "A picture that is being drawn",
    changed: (word, percent) => `Without “${word}” the picture changes by ${percent}%.`,
    unchanged: (word) => `Without “${word}” the picture stays the same.`,
    restored: (ms) => `Restored in ${ms} ms. Move the slider to compare.`, working: "Restoring …",
    stopped: "Stopped.", brought: "The prompt and the settings of this picture are back.",
    blurAndHoles: "Blur and paint exclude each other: fill the holes first, then sharpen the result.",
    nothing: "Write what to draw first.", notRead: "This file is no picture that a browser can show.",
    examples: [
      "a cat under a tree at night", "three sheep in a meadow", "a red rocket above a castle at sunset", "a cute panda in the snow",
      "a lighthouse by the sea on a rainy evening", "a dragon behind a castle", "a blue sailboat at sea", "two penguins on a snowy day",
      "an owl in the forest on a starry night", "a dog in front of a red house", "a purple balloon over the mountains",
      "a girl under an umbrella in the rain",
    ],
  },
  zh: {
    rooms: "要做什么", draw: "画画", restore: "修复", language: "用英文显示此页", theme: "浅色或深色",
    prompt: "画什么", promptHint: "想画什么？ What shall I draw?", go: "画", stop: "停止",
    expand: "补全描述", captionEdited: "要画的完整描述", edit: "自己写完整描述",
    unedit: "让模型来写描述", seed: "种子", dice: "换一个种子", count: "张数",
    temperature: "温度", candidates: "候选张数", pixels: (side) => `${side} 像素`, refine: "修复画面",
    blend: "与另一张图混合", share: "从这张到另一张", toPrompt: "另一句描述", toPromptHint: "同一句描述", toSeed: "另一个种子",
    keep: "保留", kept: "已保留在下面。", tryOne: "试试这些",
    unknown: (words) => `模型不认识${words}。`, readAs: (prompt) => `理解为“${prompt}”。`,
    keys: "画面随输入而变；回车画几张并保留。Esc 停止，/ 回到输入框。把图片拖到页面任意处，可以找回它的描述，或修复它。",
    forget: "清除所有图片", forgetSure: "要清除此页的所有图片吗？它们只保存在这个浏览器里。",
    drop: "把图片拖到这里，或点击选择", dropHint: "PNG、JPEG、WebP、GIF 或 BMP。图片只会传到你自己的服务器。",
    letGo: "松手打开图片",
    canvas: "图片。在有缺损的地方涂抹：用鼠标或手指，也可以用方向键移动、空格键涂抹。",
    before: "修复前", afterwards: "修复后", slider: "左边是修复前，右边是修复后",
    brushHint: "涂抹划痕和缺损，涂过的地方会重新画出来。", brushSize: "画笔", clear: "擦掉涂抹",
    estimate: "自动估计噪点", noise: "噪点（灰度级）", blur: "模糊（像素）", enlarge: "放大到两倍",
    mend: "修复", repaint: "重新涂抹", another: "换一张图片", download: "下载",
    close: "关闭", previous: "上一张", next: "下一张", beforeRestoring: "修复之前",
    wordsHint: "指向或点按一个词：去掉它就会改变的像素保留颜色。",
    reuse: "使用这些设置", take: "修复它", remove: "清除它",
    gone: "服务器没有响应。它还在运行吗？", gate: "此服务器需要令牌", token: "令牌", enter: "继续",
    drawnAs: "画的是", seedOf: (seed) => `种子 ${seed}`, took: (ms) => `${ms} 毫秒`,
    size: "大小", time: "用时", version: "模型", settings: "设置",
    withoutExpand: "未补全描述", withoutRefine: "未修复", heat: (t) => `温度 ${t}`, bestOf: (n) => `从 ${n} 张中选出`,
    blended: (percent, prompt, seed) => `向“${prompt}”（种子 ${seed}）混合 ${percent}%`,
    picture: (caption, seed) => `${caption}，种子 ${seed}`, waiting: "正在画的图片",
    changed: (word, percent) => `去掉“${word}”，画面改变 ${percent}%。`,
    unchanged: (word) => `去掉“${word}”，画面不变。`,
    restored: (ms) => `修复用了 ${ms} 毫秒。拖动滑块比较。`, working: "正在修复……",
    stopped: "已停止。", brought: "已找回这张图片的描述和设置。",
    blurAndHoles: "去模糊和涂抹不能同时进行：先填补缺损，再把结果锐化。",
    nothing: "请先写下要画什么。", notRead: "浏览器无法显示这个文件。",
    examples: [
      "一只可爱的猫咪", "夜晚，树下有一只猫", "草地上有三只羊", "傍晚，城堡上方有一枚红色的火箭", "雪地里有两只企鹅", "雨中的灯塔",
      "海上有一艘蓝色的帆船", "城堡后面有一条龙", "星空下，森林里有一只猫头鹰", "红色的房子前面有一只狗", "群山上空有一个紫色的热气球", "今天的天气很好",
    ],
  },
};

let language = localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");

/** The text of that name; further arguments go into those that take any. */
export function text(name, ...given) {
  const found = TEXTS[language][name];
  return typeof found === "function" ? found(...given) : found;
}

/** Words in quotation marks, as a list in a sentence. */
export function listOf(words) {
  return new Intl.ListFormat(language, { type: "conjunction" }).format(words.map((word) => `“${word}”`));
}

export const currentLanguage = () => language;

/** Show everything in the other language, and remember that. */
export function switchLanguage() {
  language = language === "en" ? "zh" : "en";
  localStorage.setItem("language", language);
  showTexts();
  document.dispatchEvent(new Event("language"));
}

/** Put the texts where the document asks for them. */
export function showTexts() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const each of document.querySelectorAll("[data-text]")) each.textContent = text(each.dataset.text);
  for (const each of document.querySelectorAll("[data-alt]")) each.alt = text(each.dataset.alt);
  for (const each of document.querySelectorAll("[data-hint]")) each.placeholder = text(each.dataset.hint);
  for (const each of document.querySelectorAll("[data-label]")) {
    each.setAttribute("aria-label", text(each.dataset.label));
    if (each.matches("button")) each.title = text(each.dataset.label);
  }
  document.querySelector("#language").textContent = language === "en" ? "中文" : "English";
}
