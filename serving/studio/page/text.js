/** The texts of the page in both languages, and the functions that insert them. */

const TEXTS = {
  en: {
    rooms: "Mode", draw: "Draw", restore: "Restore", language: "Show this page in Chinese", theme: "Light or dark",
    prompt: "Prompt", promptHint: "Describe a picture. 描述一张图片", go: "Draw", stop: "Stop",
    expand: "Expand the prompt", captionEdited: "Caption to draw", edit: "Edit the caption",
    unedit: "Use the model's caption", seed: "Seed", dice: "Random seed", count: "Pictures",
    temperature: "Temperature", candidates: "Best of", pixels: (side) => `${side} px`, refine: "Refine the drawing",
    blend: "Blend with another picture", share: "Blend", toPrompt: "Second prompt", toPromptHint: "same prompt", toSeed: "Second seed",
    keep: "Keep", kept: "Kept below.", tryOne: "Try one of these",
    unknown: (words) => `The model does not know ${words}.`, readAs: (prompt) => `Read as “${prompt}”.`,
    keys: "The picture updates as you type. Enter draws several pictures and keeps them, Esc stops, / moves to the prompt. Drop a picture anywhere to load its prompt or to restore it.",
    forget: "Delete all pictures", forgetSure: "Delete all pictures on this page? They are stored only in this browser.",
    drop: "Drop a picture here, or choose one", dropHint: "PNG, JPEG, WebP, GIF or BMP. The picture is sent only to your own server.",
    letGo: "Release to open the picture",
    canvas: "The picture. Paint over the parts to fill with the mouse or a finger, or move with the arrow keys and paint with the space bar.",
    before: "Before", afterwards: "After", slider: "Before on the left, after on the right",
    brushHint: "Paint over scratches and holes; the painted parts are filled in.", brushSize: "Brush", clear: "Clear the paint",
    estimate: "Estimate the noise", noise: "Noise in grey levels", blur: "Blur in pixels", enlarge: "Upscale to twice the size",
    restoreNow: "Restore", repaint: "Paint again", another: "Another picture", download: "Download",
    close: "Close", previous: "Previous picture", next: "Next picture", beforeRestoring: "Before restoration",
    wordsHint: "Hover over a word or tap it to highlight the pixels that depend on it.",
    reuse: "Use these settings", take: "Restore it", remove: "Delete it",
    gone: "The server does not answer. Is it still running?", gate: "This server requires a token", token: "Token", enter: "Continue",
    drawnAs: "drawn as", seedOf: (seed) => `seed ${seed}`, took: (ms) => `${ms} ms`,
    size: "Size", time: "Time", version: "Model", settings: "Settings",
    withoutExpand: "prompt not expanded", withoutRefine: "not refined", heat: (t) => `temperature ${t}`, bestOf: (n) => `best of ${n}`,
    blended: (percent, prompt, seed) => `blended ${percent}% with “${prompt}”, seed ${seed}`,
    picture: (caption, seed) => `${caption}, seed ${seed}`, waiting: "Drawing a picture",
    changed: (word, percent) => `Without “${word}” the picture changes by ${percent}%.`,
    unchanged: (word) => `Without “${word}” the picture stays the same.`,
    restored: (ms) => `Restored in ${ms} ms. Move the slider to compare.`, working: "Restoring …",
    stopped: "Stopped.", brought: "The prompt and the settings of this picture were loaded.",
    blurAndHoles: "Blur and paint cannot be combined: fill the holes first, then sharpen the result.",
    nothing: "Enter a prompt first.", notRead: "The browser cannot show this file.",
    examples: [
      "a cat under a tree at night", "three sheep in a meadow", "a red rocket above a castle at sunset", "a cute panda in the snow",
      "a lighthouse by the sea on a rainy evening", "a dragon behind a castle", "a blue sailboat at sea", "two penguins on a snowy day",
      "an owl in the forest on a starry night", "a dog in front of a red house", "a purple balloon over the mountains",
      "a girl under an umbrella in the rain",
    ],
  },
  zh: {
    rooms: "模式", draw: "绘图", restore: "修复", language: "用英文显示此页", theme: "浅色或深色",
    prompt: "提示词", promptHint: "描述一张图片 Describe a picture", go: "生成", stop: "停止",
    expand: "扩写提示词", captionEdited: "完整描述", edit: "编辑描述",
    unedit: "使用模型的描述", seed: "种子", dice: "随机种子", count: "数量",
    temperature: "温度", candidates: "候选张数", pixels: (side) => `${side} 像素`, refine: "优化画面",
    blend: "与另一张图混合", share: "混合比例", toPrompt: "第二个提示词", toPromptHint: "相同的提示词", toSeed: "第二个种子",
    keep: "保留", kept: "已保留在下面。", tryOne: "试试这些",
    unknown: (words) => `模型不认识${words}。`, readAs: (prompt) => `理解为“${prompt}”。`,
    keys: "输入时画面实时更新；按回车生成多张并保留，按 Esc 停止，按 / 回到输入框。把图片拖到页面上，可以读取它的提示词，或进行修复。",
    forget: "删除所有图片", forgetSure: "要删除此页的所有图片吗？它们只保存在这个浏览器里。",
    drop: "把图片拖到这里，或点击选择", dropHint: "PNG、JPEG、WebP、GIF 或 BMP。图片只会传到你自己的服务器。",
    letGo: "松开鼠标打开图片",
    canvas: "图片。用鼠标或手指涂抹需要填补的部分，也可以用方向键移动、空格键涂抹。",
    before: "修复前", afterwards: "修复后", slider: "左边是修复前，右边是修复后",
    brushHint: "涂抹划痕和缺损处，涂抹的部分会被填补。", brushSize: "画笔", clear: "清除涂抹",
    estimate: "自动估计噪声", noise: "噪声（灰度级）", blur: "模糊（像素）", enlarge: "放大到两倍",
    restoreNow: "修复", repaint: "重新涂抹", another: "换一张图片", download: "下载",
    close: "关闭", previous: "上一张", next: "下一张", beforeRestoring: "修复之前",
    wordsHint: "指向或点按一个词，受它影响的像素会高亮显示。",
    reuse: "使用这些设置", take: "修复", remove: "删除",
    gone: "服务器没有响应。它还在运行吗？", gate: "此服务器需要令牌", token: "令牌", enter: "继续",
    drawnAs: "实际描述", seedOf: (seed) => `种子 ${seed}`, took: (ms) => `${ms} 毫秒`,
    size: "大小", time: "用时", version: "模型", settings: "设置",
    withoutExpand: "未扩写提示词", withoutRefine: "未优化", heat: (t) => `温度 ${t}`, bestOf: (n) => `从 ${n} 张中选出`,
    blended: (percent, prompt, seed) => `向“${prompt}”（种子 ${seed}）混合 ${percent}%`,
    picture: (caption, seed) => `${caption}，种子 ${seed}`, waiting: "正在生成",
    changed: (word, percent) => `去掉“${word}”，画面改变 ${percent}%。`,
    unchanged: (word) => `去掉“${word}”，画面不变。`,
    restored: (ms) => `修复用时 ${ms} 毫秒。拖动滑块进行比较。`, working: "正在修复……",
    stopped: "已停止。", brought: "已读取这张图片的提示词和设置。",
    blurAndHoles: "去模糊和涂抹不能同时使用：请先填补缺损，再锐化结果。",
    nothing: "请先输入提示词。", notRead: "浏览器无法显示这个文件。",
    examples: [
      "一只可爱的猫咪", "夜晚，树下有一只猫", "草地上有三只羊", "傍晚，城堡上方有一枚红色的火箭", "雪地里有两只企鹅", "雨中的灯塔",
      "海上有一艘蓝色的帆船", "城堡后面有一条龙", "星空下，森林里有一只猫头鹰", "红色的房子前面有一只狗", "群山上空有一个紫色的热气球", "今天的天气很好",
    ],
  },
};

let language = localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");

/** The text with this name; further arguments are inserted into it. */
export function text(name, ...given) {
  const found = TEXTS[language][name];
  return typeof found === "function" ? found(...given) : found;
}

/** Words in quotation marks, as a list in a sentence. */
export function listOf(words) {
  return new Intl.ListFormat(language, { type: "conjunction" }).format(words.map((word) => `“${word}”`));
}

export const currentLanguage = () => language;

/** Switch the page to the other language, and remember the choice. */
export function switchLanguage() {
  language = language === "en" ? "zh" : "en";
  localStorage.setItem("language", language);
  showTexts();
  document.dispatchEvent(new Event("language"));
}

/** Insert the texts into the document. */
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
